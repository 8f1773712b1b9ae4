/** A session as a list finds it, before it is read. */

/** Who recorded a session, and whose it is, if that is known yet. */
export interface Found {
  source: 'lease' | 'external'
  id: string
  username?: string
}

/** A found session as a name that can travel in a cursor. */
export function nameOf ({ source, id, username = '' }: Found): string {
  return `${source[0]}${username}\n${id}`
}

/** The way back. Any text can be read, for cursors can be forged. */
export function foundBy (name: string): Found {
  const split = name.indexOf('\n')
  const username = name.slice(1, split)
  return {
    source: name.startsWith('l') ? 'lease' : 'external',
    id: name.slice(split + 1),
    ...(username !== '' && { username })
  }
}
