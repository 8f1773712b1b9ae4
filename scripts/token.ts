/**
 * Prints a token, signed with JWT_SECRET:
 * `npm run --silent token -- --role switch --node k1 --days 365`. `--username` names its user.
 */
import { randomUUID } from 'node:crypto'
import { ConfigError, loadConfig } from '../config.ts'
import { signToken } from '../services/auth/sign-token.ts'
import { OptionError, readDays, readNode, readOptions, readRole } from './options.ts'

const DAY_SECONDS = 24 * 3600

/** The token that a command line asks for. @throws OptionError, ConfigError */
function makeToken (args: string[]): string {
  const options = readOptions(args, ['role', 'node', 'days', 'username'])
  const role = readRole(options.role)
  const node = readNode(options.node)
  const days = readDays(options.days ?? '365')
  const { JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE } = loadConfig()
  if (JWT_SECRET === undefined) throw new ConfigError('JWT_SECRET: must be set to sign a token.')
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    sub: options.username ?? node ?? role,
    role,
    ...(node !== undefined && { node }),
    jti: randomUUID(),
    ...(JWT_ISSUER !== undefined && { iss: JWT_ISSUER }),
    ...(JWT_AUDIENCE !== undefined && { aud: JWT_AUDIENCE }),
    iat: now,
    exp: now + days * DAY_SECONDS
  }
  return signToken(claims, JWT_SECRET)
}

try {
  console.log(makeToken(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof OptionError) && !(error instanceof ConfigError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
