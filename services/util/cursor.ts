/** Opaque page cursors: a position as JSON in base64url, which is checked when it comes back. */
import { invalidMember } from '../errors.ts'

/** A position as a cursor. */
export function encodeCursor (position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

/**
 * The position that a cursor stands for.
 * @throws ServiceError `invalid_input` for what is no cursor of this list
 */
export function decodeCursor<T> (cursor: string, isPosition: (value: unknown) => value is T): T {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    value = undefined
  }
  if (!isPosition(value)) throw invalidMember('querystring/cursor', 'is no cursor of this list')
  return value
}
