/**
 * Reads the settings: from the environment and a .env file, checked against their schema. The only
 * reader of process.env.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { parseEnv } from 'node:util'
import { envSchema } from 'env-schema'
import { MIN_SECRET_BYTES, SettingsSchema, type Settings } from './schemas/settings.ts'
import { isPasswordHash } from './services/auth/password.ts'
import { publicKeysOf, type VerificationKey } from './services/auth/verification-key.ts'
import { commaList } from './services/util/comma-list.ts'

/** Settings whose values are never shown, not even when they are wrong. */
const SECRETS = /SECRET|PASSWORD|URL|ENDPOINTS/

/** Secrets that examples and deployment files publish, Voice Ferry's own among them. */
const KNOWN_SECRETS =
  /^(secret|changeme|your-|password|supersecret|default)|change-(me|this|in-production)/i

/** Settings of which neither means anything without the other. */
const PAIRS = [
  ['ADMIN_USERNAME', 'ADMIN_PASSWORD_HASH'],
  ['REDIS_TLS_CERT', 'REDIS_TLS_KEY'],
  ['ETCD_TLS_CERT', 'ETCD_TLS_KEY'],
  ['ETCD_USERNAME', 'ETCD_PASSWORD']
] as const

/**
 * A setting that cannot be used. The message is one line that names the variable and what it takes.
 */
export class ConfigError extends Error {}

/** PEM texts for one TLS connection. */
export interface TlsFiles {
  ca?: string
  cert?: string
  key?: string
}

/**
 * The settings of this process, from its environment before its .env file, or those of the given
 * environment.
 * @throws ConfigError naming the first wrong variable
 */
export function loadConfig (env?: NodeJS.ProcessEnv): Settings {
  const settings = validated(
    env === undefined ? { ...known(readDotenv()), ...known(process.env) } : known(env)
  )
  checkTogether(settings)
  return settings
}

/** The variables that are settings; an empty one is none. */
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
    throw new ConfigError(`.env: must be a file that can be read (${code})`)
  }
}

/**
 * Reads the PEM files that settings name.
 * @throws ConfigError naming the variable whose file cannot be read
 */
export function readTlsFiles (settings: Settings, service: 'REDIS' | 'ETCD'): TlsFiles {
  const read = (part: 'CA' | 'CERT' | 'KEY') => readPem(settings, `${service}_TLS_${part}`)
  const files = { ca: read('CA'), cert: read('CERT'), key: read('KEY') }
  return Object.fromEntries(Object.entries(files).filter(([, pem]) => pem !== undefined))
}

/**
 * Reads the identity provider's keys; none where the settings name no file.
 * @throws ConfigError when the file cannot be read, or holds what is no key to check tokens with
 */
export function readPublicKeys (settings: Settings): VerificationKey[] {
  const pem = readPem(settings, 'JWT_PUBLIC_KEYS')
  try {
    return pem === undefined ? [] : publicKeysOf(pem)
  } catch (error) {
    throw wrong(
      'JWT_PUBLIC_KEYS',
      `must name a PEM file of public keys; this one ${(error as Error).message}`
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
    throw new ConfigError(
      `${name}: must name a PEM file that can be read (${(error as NodeJS.ErrnoException).code ?? 'failed'})`
    )
  }
}

function validated (data: NodeJS.ProcessEnv): Settings {
  try {
    return envSchema<Settings>({ schema: structuredClone(SettingsSchema), data, env: false })
  } catch (error) {
    const [first] =
      (
        error as {
          errors?: Array<{
            instancePath: string
            message?: string
            params: Record<string, unknown>
          }>
        }
      ).errors ?? []
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
    throw wrong('ADMIN_PASSWORD_HASH', 'must be a hash as `npm run hash-password` prints it')
  }
  for (const [one, other] of PAIRS) {
    if (settings[one] !== undefined && settings[other] === undefined) {
      throw wrong(other, `must be set too, as ${one} is`)
    }
    if (settings[other] !== undefined && settings[one] === undefined) {
      throw wrong(one, `must be set too, as ${other} is`)
    }
  }
  if (!commaList(settings.TRUSTED_PROXIES).every(isNetwork)) {
    throw wrong('TRUSTED_PROXIES', 'must be IP addresses or networks', settings.TRUSTED_PROXIES)
  }
  for (const name of ['REDIS_URL'] as const) {
    const url = settings[name]
    if (url !== undefined && !URL.canParse(url)) throw wrong(name, 'must be a URL')
  }
}

function checkTokenSettings (settings: Settings): void {
  const {
    NODE_ENV,
    JWT_SECRET,
    JWT_SECRET_PREVIOUS,
    JWT_PUBLIC_KEYS,
    JWT_JWKS_URL: jwksUrl,
    ADMIN_USERNAME
  } = settings
  const isProduction = NODE_ENV === 'production'
  const hasProvider = (JWT_PUBLIC_KEYS ?? jwksUrl) !== undefined
  if (JWT_SECRET === undefined) {
    if (JWT_SECRET_PREVIOUS !== undefined) {
      throw wrong('JWT_SECRET', 'must be set too, as JWT_SECRET_PREVIOUS is')
    }
    if (isProduction && !hasProvider) {
      throw wrong(
        'JWT_SECRET',
        'must be set in production, unless JWT_PUBLIC_KEYS or JWT_JWKS_URL is'
      )
    }
    if (isProduction && ADMIN_USERNAME !== undefined) {
      throw wrong('JWT_SECRET', 'must be set in production, as ADMIN_USERNAME is')
    }
  }
  for (const name of ['JWT_SECRET', 'JWT_SECRET_PREVIOUS'] as const) {
    const secret = settings[name]
    if (secret === undefined) continue
    if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
      throw wrong(name, `must have at least ${MIN_SECRET_BYTES} bytes`)
    }
    if (isProduction && KNOWN_SECRETS.test(secret)) throw wrong(name, 'must not be a default one')
  }
  for (const name of ['JWT_PROVIDER_ISSUER', 'JWT_PROVIDER_AUDIENCE'] as const) {
    if (settings[name] !== undefined && !hasProvider) {
      throw wrong(name, 'means nothing without JWT_PUBLIC_KEYS or JWT_JWKS_URL')
    }
  }
  if (jwksUrl === undefined) return
  const { protocol, username, password } = URL.canParse(jwksUrl) ? new URL(jwksUrl) : {}
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
