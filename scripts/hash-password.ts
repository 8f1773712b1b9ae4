/**
 * Prints the hash of a password for ADMIN_PASSWORD_HASH. Run `npm run --silent hash-password`, then
 * enter the password on one line. A terminal does not show it.
 */
import { stderr, stdin } from 'node:process'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { hashPassword } from '../services/auth/password.ts'

/** The shortest password that is accepted, in characters. */
const SHORTEST = 12

/** Takes what a terminal would show of the typed line. */
const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })

const lines = createInterface(
  stdin.isTTY ? { input: stdin, output: nowhere, terminal: true } : { input: stdin }
)
// Only now does the terminal no longer show what is typed.
if (stdin.isTTY) stderr.write('Password (not shown): ')
const password = await new Promise<string>((resolve) => {
  lines.once('line', resolve).once('close', () => resolve(''))
})
lines.close()
if (stdin.isTTY) stderr.write('\n')
if (password.length < SHORTEST) {
  console.error(`The password must have at least ${SHORTEST} characters.`)
  process.exitCode = 1
} else {
  console.log(await hashPassword(password))
}
