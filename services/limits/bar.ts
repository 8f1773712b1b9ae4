/**
 * Call barring: a user who may have no calls at all, which no limit can say, because 0 is
 * unlimited.
 */

/** A bar. Calls that are up go on, and emergency calls pass it. */
export interface Bar {
  /** Why; may be empty. */
  reason: string
  /** When it ends by itself, in milliseconds since the epoch; undefined for never. */
  expiresMs: number | undefined
}

/** A bar as it is stored: `<end in ms, or 0> <reason>`. */
export function encodeBar ({ reason, expiresMs = 0 }: Bar): string {
  return `${expiresMs} ${reason}`
}

/**
 * The bar that a stored text stands for. Whatever is stored bars the user: a text of another form
 * is a bar without an end whose reason is the text.
 */
export function parseBar (text: string): Bar {
  const [, end = '0', reason = text] = /^(\d{1,15}) ([^]*)$/.exec(text) ?? []
  return { reason, expiresMs: Number(end) === 0 ? undefined : Number(end) }
}
