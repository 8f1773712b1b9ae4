/** The one spelling of a name, and text that is safe to store and log. */
import { NAME_CHARACTERS } from '../../schemas/names.ts'

const WHOLE_NAME = new RegExp(`^${NAME_CHARACTERS}+$`, 'u')

/** C0, DEL, C1, and the line separators of Unicode. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g // eslint-disable-line no-control-regex

/**
 * The one spelling of a username or another name: the host after the last `@` is in lower case
 * (RFC 3261, 19.1.4). A name that is not of our form is returned unchanged.
 */
export function canonicalName (name: string): string {
  const at = name.lastIndexOf('@')
  if (at === -1) return name
  const host = name.slice(at)
  const lower = host.toLowerCase()
  return host === lower || !WHOLE_NAME.test(name) ? name : name.slice(0, at) + lower
}

/** A text of at most so many characters, with control characters replaced by spaces. */
export function cleanText (text: string, maxLength: number): string {
  const cut = text.length > maxLength ? text.slice(0, maxLength) : text
  // Never half of a surrogate pair.
  const whole = /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut
  return whole.replace(CONTROL, ' ')
}
