/** Tokens that the service and the twins all take. */
import { createHash } from 'node:crypto'
import { createSigner } from 'fast-jwt'

/** The shared secret. It guards nothing: what the bench starts ends with it, and is on loopback. */
export const SECRET = createHash('sha256').update('of the bench only').digest('base64')

const sign = createSigner({ key: SECRET, algorithm: 'HS256', expiresIn: 3600_000 })

/** For what prepares a comparison. */
export const ADMIN_TOKEN = sign({ sub: 'bench', role: 'admin' })
/** For what is measured: a switch asks, and its daily work is not audited. */
const SWITCH_TOKEN = sign({ sub: 'bench', role: 'switch' })

/** A whole HTTP/1.1 request of a switch as text; a placeholder counts with its value's length. */
export function request (method: string, path: string, body?: unknown): string {
  const json = body === undefined ? '' : JSON.stringify(body)
  const bytes = Buffer.byteLength(
    json.replaceAll('{n}', '0'.repeat(10)).replaceAll('{u}', '0'.repeat(8))
  )
  const content =
    body === undefined ? '' : `content-type: application/json\r\ncontent-length: ${bytes}\r\n`
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n`
  return `${head}authorization: Bearer ${SWITCH_TOKEN}\r\n${content}\r\n${json}`
}
