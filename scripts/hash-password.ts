/**
 * Prints the hash of a password for ADMIN_PASSWORD_HASH. Run `npm run --silent hash-password`, then
 * enter the password on one line.
 */
import { stdin, stdout } from 'node:process'
import { createInterface } from 'node:readline/promises'
import { hashPassword } from '../services/auth/password.ts'

/** The shortest password that is accepted, in characters. */
const SHORTEST = 12

if (stdin.isTTY) stdout.write('Password (shown as you type): ')
const lines = createInterface({ input: stdin })
const password = await new Promise<string>((resolve) => {
  lines.once('line', resolve).once('close', () => resolve(''))
})
lines.close()
if (password.length < SHORTEST) {
  console.error(`The password must have at least ${SHORTEST} characters.`)
  process.exitCode = 1
} else {
  console.log(await hashPassword(password))
}
