/** What a case of the corpus is: a request as it goes over the wire, and what it must get. */
import { validToken } from './forge.ts'

/**
 * A request whose every byte is as it says; what is left out is as a well-behaved administrator
 * sends it.
 */
export interface Request {
  method: string
  /** Sent as it stands: nothing is escaped, and no dots are taken away. */
  path: string
  body?: string | Buffer
  /** The bearer token; null sends no Authorization header. */
  token?: string | null
  /** The media type of the body; null sends no Content-Type header. */
  type?: string | null
  /** Further header lines. */
  headers?: string[]
}

/** A request, or its very bytes, and what must come of it. */
export type Case = (Request | { bytes: string | Buffer }) & {
  /** What is the matter with it. */
  what: string
  status: number
  /**
   * The code of the problem, where it is not the usual one of the status; null where Node itself
   * answers, without a body.
   */
  code?: string | null
  /** How many items of a list are refused, where they are checked one by one. */
  invalid?: number
  /**
   * Where it is let through to the store: the keys that it leaves there, without their prefix.
   * Others send no command.
   */
  leaves?: string[]
}

const ADMIN_TOKEN = validToken({ sub: 'admin', role: 'admin' })

/** The token that goes with a request, if any. */
export function tokenOf (one: Case): string | null {
  if ('bytes' in one) return ADMIN_TOKEN
  return one.token === undefined ? ADMIN_TOKEN : one.token
}

/** The bytes of a case. */
export function bytesOf (one: Case): Buffer {
  if ('bytes' in one) return latin1(one.bytes)
  const { method, path, body, type = 'application/json', headers = [] } = one
  const token = tokenOf(one)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    'Connection: close',
    ...(token === null ? [] : [`Authorization: Bearer ${token}`]),
    ...(body === undefined
      ? []
      : [
          `Content-Length: ${Buffer.byteLength(body)}`,
          ...(type === null ? [] : [`Content-Type: ${type}`])
        ]),
    ...headers
  ]
  return Buffer.concat([latin1(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(body ?? '')])
}

/**
 * The head of a request of an administrator, for those who write the rest by hand; ends with a line
 * break.
 */
export function adminHead (method: string, path: string): string {
  return (
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
    `Authorization: Bearer ${ADMIN_TOKEN}\r\n`
  )
}

export const get = (path: string, more: Partial<Request> = {}): Request => ({
  method: 'GET',
  path,
  ...more
})
export const put = (path: string, body: string | Buffer, more: Partial<Request> = {}): Request => ({
  method: 'PUT',
  path,
  body,
  ...more
})
export const post = (
  path: string,
  body: string | Buffer,
  more: Partial<Request> = {}
): Request => ({ method: 'POST', path, body, ...more })
export const remove = (path: string, more: Partial<Request> = {}): Request => ({
  method: 'DELETE',
  path,
  ...more
})

function latin1 (text: string | Buffer): Buffer {
  return typeof text === 'string' ? Buffer.from(text, 'latin1') : text
}
