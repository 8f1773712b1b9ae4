/** A service whose log and audit log are kept, and a login. */
import { scryptSync } from 'node:crypto'
import { Writable } from 'node:stream'
import type { Test } from 'tap'
import { type Claims, startApp } from '../helpers/app.ts'

export const PASSWORD = 'correct horse battery staple'

export const SALT = Buffer.from('a salt of tests!')

export const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')

export const KEY = scryptSync(PASSWORD, SALT, 32, { N: 2 ** 14, r: 8, p: 1 })

export const HASH = `$scrypt$ln=14,r=8,p=1$${base64(SALT)}$${base64(KEY)}`

export const login = { ADMIN_USERNAME: 'root', ADMIN_PASSWORD_HASH: HASH }

export const root: Claims = { sub: 'root', roles: ['admin', 'auditor'], jti: 'token-7' }

export type Line = Record<string, unknown> & { audit?: Record<string, unknown> }

/** Keeps what is logged. */
export class Log {
  text = ''
  readonly stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      this.text += chunk.toString()
      done()
    }
  })

  /** The lines of the audit log since the last call. */
  take (): Array<Record<string, unknown>> {
    const lines = this.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
    this.text = ''
    return lines.flatMap(({ audit, msg, level }) =>
      audit === undefined
        ? []
        : [{ ...audit, ...(msg === 'audit' && level === 30 ? {} : { msg, level }) }]
    )
  }
}

export async function service (t: Test, env: NodeJS.ProcessEnv = {}, level = 'info') {
  const log = new Log()
  return {
    log,
    app: await startApp(t, { ...login, ...env }, { logger: { level, stream: log.stream } })
  }
}
