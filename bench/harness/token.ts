/** A token that the service and the twin both take. */
import { createSigner } from 'fast-jwt'

/** The run's shared secret. It guards nothing: what the bench starts listens on loopback and ends with it. */
export const SECRET = 'of-the-bench-only-'.repeat(3)

/** A token of a switch that is an administrator too, valid for an hour. */
export const TOKEN = createSigner({ key: SECRET, algorithm: 'HS256', expiresIn: 3600_000 })({ sub: 'bench', role: 'admin' })

/** A whole HTTP/1.1 request as text, with the token; a placeholder counts as its value is long. */
export function request (method: string, path: string, body?: unknown): string {
  const json = body === undefined ? '' : JSON.stringify(body)
  const bytes = Buffer.byteLength(json.replaceAll('{n}', '0'.repeat(10)).replaceAll('{u}', '0'.repeat(8)))
  const content = body === undefined ? '' : `content-type: application/json\r\ncontent-length: ${bytes}\r\n`
  return `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\n${content}\r\n${json}`
}
