/** Makes tokens without a running service. */
import { createHmac } from 'node:crypto'

/** A JWT with these claims, signed by HS256 (RFC 7515; RFC 7518, 3.2). */
export function signToken (claims: Record<string, unknown>, secret: string): string {
  const input = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

function part (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
