/**
 * Password hashes: scrypt (RFC 7914) in the PHC string format, `$scrypt$ln=17,r=8,p=1$salt$hash`.
 */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)
const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/
const COST = { ln: 17, r: 8, p: 1 }

/** Whether a text is a hash that a password can be verified with. */
export function isPasswordHash (text: string): boolean {
  const [, ln, r, p] = FORM.exec(text)?.map(Number) ?? []
  return (
    ln !== undefined &&
    ln >= 14 &&
    ln <= 20 &&
    r !== undefined &&
    r >= 1 &&
    r <= 16 &&
    p !== undefined &&
    p >= 1 &&
    p <= 4
  )
}

/** Hashes a password with a new salt. Takes about half a second and 128 MiB. */
export async function hashPassword (password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(password, salt, 32, options(COST.ln, COST.r, COST.p))
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${text(salt)}$${text(hash)}`
}

/**
 * Whether a password matches a hash.
 * @throws TypeError if the hash is malformed
 */
export async function verifyPassword (password: string, passwordHash: string): Promise<boolean> {
  const [, ln, r, p, salt, hash] = FORM.exec(passwordHash) ?? []
  if (salt === undefined || hash === undefined) {
    throw new TypeError('not a scrypt hash in the PHC string format')
  }
  const expected = Buffer.from(hash, 'base64')
  const actual = await derive(
    password,
    Buffer.from(salt, 'base64'),
    expected.length,
    options(Number(ln), Number(r), Number(p))
  )
  return timingSafeEqual(actual, expected)
}

function options (ln: number, r: number, p: number): ScryptOptions {
  return { N: 2 ** ln, r, p, maxmem: 256 * r * 2 ** ln }
}

function text (bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
