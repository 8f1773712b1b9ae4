/**
 * Reads the settings from the environment and a .env file, and checks them against their schema.
 * No other module reads process.env.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { parseEnv } from 'node:util'
import { envSchema } from 'env-schema'
import { MIN_SECRET_BYTES } from './schemas/auth-settings.ts'
import { SettingsSchema, type Settings } from './schemas/settings.ts'
import { isPasswordHash } from './services/auth/password.ts'
import { publicKeysOf, type VerificationKey } from './services/auth/verification-key.ts'
import { commaList } from './services/util/comma-list.ts'

/** Settings whose values are never shown, even when they are wrong. */
const SECRETS = /SECRET|PASSWORD|URL|ENDPOINTS/

/** Secrets that examples and deployment files publish, Voice Ferry's own among them. */
const KNOWN_SECRETS =
  /^(secret|changeme|your-|password|supersecret|default)|change-(me|this|in-production)/i

/** Settings that only work together. */
const PAIRS = [
  ['ADMIN_USERNAME', 'ADMIN_PASSWORD_HASH'],
  ['REDIS_TLS_CERT', 'REDIS_TLS_KEY'],
  ['ETCD_TLS_CERT', 'ETCD_TLS_KEY'],
  ['ETCD_USERNAME', 'ETCD_PASSWORD']
] as const

/** A setting is wrong. The message is one line that names the variable and what it may be. */
export class ConfigError extends Error {}

/** What the schema's validator says about one setting. */
interface SchemaError {
  instancePath: string
  message?: string
  params: Record<string, unknown>
}

/** The PEM texts for one TLS connection. */
export interface TlsFiles {
  ca?: string
  cert?: string
  key?: string
}

/**
 * Loads the settings from the given environment or, by default, from that of the process and the
 * .env file. The environment of the process takes precedence over the file.
 * @throws ConfigError that names the first wrong variable
 */
export function loadConfig (env?: NodeJS.ProcessEnv): Settings {
  const settings = validated(
    env === undefined ? { ...known(readDotenv()), ...known(process.env) } : known(env)
  )
  checkTogether(settings)
  return settings
}

/** The variables that are settings. An empty variable counts as not set. */
function known (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name in SettingsSchema.properties && value !== '')
  )
}

function readDotenv (): NodeJS.ProcessEnv {
  try {
    return parseEnv(readFileSync('.env', 'utf8'))
  } catch (error) {
    const { code = 'failed' } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return {}
    throw new ConfigError(`.env: must be a readable file (${code})`)
  }
}

/**
 * Reads the PEM files that settings name.
 * @throws ConfigError that names the variable whose file cannot be read
 */
export function readTlsFiles (settings: Settings, service: 'REDIS' | 'ETCD'): TlsFiles {
  const read = (part: 'CA' | 'CERT' | 'KEY') => readPem(settings, `${service}_TLS_${part}`)
  const files = { ca: read('CA'), cert: read('CERT'), key: read('KEY') }
  return Object.fromEntries(Object.entries(files).filter(([, pem]) => pem !== undefined))
}

/**
 * Reads the public keys of the identity provider. Returns none if no file is set.
 * @throws ConfigError when the file cannot be read or has a key that cannot verify tokens
 */
export function readPublicKeys (settings: Settings): VerificationKey[] {
  const pem = readPem(settings, 'JWT_PUBLIC_KEYS')
  try {
    return pem === undefined ? [] : publicKeysOf(pem)
  } catch (error) {
    throw wrong(
      'JWT_PUBLIC_KEYS',
      `must name a PEM file with public keys; this file ${(error as Error).message}`
    )
  }
}

function readPem (
  settings: Settings,
  name: `${'REDIS' | 'ETCD'}_TLS_${'CA' | 'CERT' | 'KEY'}` | 'JWT_PUBLIC_KEYS'
): string | undefined {
  const path = settings[name]
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'failed' } = error as NodeJS.ErrnoException
    throw new ConfigError(`${name}: must name a PEM file that can be read (${code})`)
  }
}

function validated (data: NodeJS.ProcessEnv): Settings {
  try {
    return envSchema<Settings>({ schema: structuredClone(SettingsSchema), data, env: false })
  } catch (error) {
    const [first] = (error as { errors?: SchemaError[] }).errors ?? []
    if (first === undefined) throw error
    const name = first.instancePath.slice(1)
    const allowed = Array.isArray(first.params.allowedValues)
      ? `: ${first.params.allowedValues.join(', ')}`
      : ''
    throw wrong(name as keyof Settings, `${first.message ?? 'is wrong'}${allowed}`, data[name])
  }
}

function checkTogether (settings: Settings): void {
  const { ADMIN_PASSWORD_HASH } = settings
  checkTokenSettings(settings)
  if (ADMIN_PASSWORD_HASH !== undefined && !isPasswordHash(ADMIN_PASSWORD_HASH)) {
    throw wrong('ADMIN_PASSWORD_HASH', 'must be a hash from `npm run hash-password`')
  }
  for (const [one, other] of PAIRS) {
    if (settings[one] !== undefined && settings[other] === undefined) {
      throw wrong(other, `must be set because ${one} is set`)
    }
    if (settings[other] !== undefined && settings[one] === undefined) {
      throw wrong(one, `must be set because ${other} is set`)
    }
  }
  if (!commaList(settings.TRUSTED_PROXIES).every(isNetwork)) {
    throw wrong('TRUSTED_PROXIES', 'must be IP addresses or networks', settings.TRUSTED_PROXIES)
  }
  if (settings.REDIS_URL !== undefined && !URL.canParse(settings.REDIS_URL)) {
    throw wrong('REDIS_URL', 'must be a URL')
  }
}

function checkTokenSettings (settings: Settings): void {
  const { JWT_SECRET, JWT_SECRET_PREVIOUS, ADMIN_USERNAME } = settings
  const isProduction = settings.NODE_ENV === 'production'
  const hasProvider = (settings.JWT_PUBLIC_KEYS ?? settings.JWT_JWKS_URL) !== undefined
  if (JWT_SECRET === undefined) {
    if (JWT_SECRET_PREVIOUS !== undefined) {
      throw wrong('JWT_SECRET', 'must be set because JWT_SECRET_PREVIOUS is set')
    }
    if (isProduction && !hasProvider) {
      throw wrong(
        'JWT_SECRET',
        'must be set in production, unless JWT_PUBLIC_KEYS or JWT_JWKS_URL is set'
      )
    }
    if (isProduction && ADMIN_USERNAME !== undefined) {
      throw wrong('JWT_SECRET', 'must be set in production because ADMIN_USERNAME is set')
    }
  }
  checkSecret('JWT_SECRET', settings)
  checkSecret('JWT_SECRET_PREVIOUS', settings)
  for (const name of ['JWT_PROVIDER_ISSUER', 'JWT_PROVIDER_AUDIENCE'] as const) {
    if (settings[name] !== undefined && !hasProvider) {
      throw wrong(name, 'needs JWT_PUBLIC_KEYS or JWT_JWKS_URL')
    }
  }
  checkJwksUrl(settings.JWT_JWKS_URL, isProduction)
}

function checkSecret (name: 'JWT_SECRET' | 'JWT_SECRET_PREVIOUS', settings: Settings): void {
  const secret = settings[name]
  if (secret === undefined) return
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    throw wrong(name, `must have at least ${MIN_SECRET_BYTES} bytes`)
  }
  if (settings.NODE_ENV === 'production' && KNOWN_SECRETS.test(secret)) {
    throw wrong(name, 'must not be a well-known default')
  }
}

function checkJwksUrl (url: string | undefined, isProduction: boolean): void {
  if (url === undefined) return
  const { protocol, username, password } = URL.canParse(url) ? new URL(url) : {}
  if (protocol === undefined || username !== '' || password !== '') {
    throw wrong('JWT_JWKS_URL', 'must be a URL without a password')
  }
  if (isProduction && protocol !== 'https:') {
    throw wrong('JWT_JWKS_URL', 'must begin with https:// in production')
  }
}

/**
 * Whether a text is an IP address, or a network in CIDR notation (RFC 4632, 3.1; RFC 4291, 2.3).
 */
function isNetwork (text: string): boolean {
  const [, address = '', bits = '0'] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128)
}

function wrong (name: keyof Settings, problem: string, value?: string): ConfigError {
  const shown = value === undefined || SECRETS.test(name) ? '' : `, not ${JSON.stringify(value)}`
  return new ConfigError(
    `${name}: ${problem}${shown}. ${SettingsSchema.properties[name]?.description ?? ''}`.trim()
  )
}
