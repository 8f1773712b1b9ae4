/**
 * Reads the settings from the environment and a .env file, and checks them against their schema.
 * No other module reads process.env.
 */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { envSchema } from 'env-schema'
import { SettingsSchema, type Settings } from './schemas/settings.ts'
import { publicKeysOf, type VerificationKey } from './services/auth/verification-key.ts'
import { checkSettings } from './services/settings/check-settings.ts'
import { ConfigError, formOf, whatItMayBe, wrong } from './services/settings/config-error.ts'
import { settingsOf } from './services/settings/environment.ts'
import { unknownSettings, type UnknownSetting } from './services/settings/unknown-settings.ts'
import { WatchedFile } from './services/util/watched-file.ts'

export { ConfigError }

/** The most unknown variables that are named in one line, and the longest name of one. */
const [MOST_NAMED, LONGEST_NAME] = [20, 64]

/** What the schema's validator says about one setting. */
interface SchemaError {
  instancePath: string
}

/** The PEM texts for one TLS connection. */
export interface TlsFiles {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/**
 * Loads the settings from the given environment or, by default, from that of the process and the
 * .env file. The environment of the process takes precedence over the file.
 * @throws ConfigError that names the first wrong variable
 */
export function loadConfig (env: NodeJS.ProcessEnv = readEnvironment()): Settings {
  try {
    const settings = validated(settingsOf(env))
    checkSettings(settings)
    return settings
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const meant = unknownSettings(env).filter((one) => one.meant !== undefined)
    if (meant.length === 0) throw error
    throw new ConfigError(`${error.message} There is no setting ${inWords(meant)}.`)
  }
}

/**
 * Says which variables of the process and of the .env file look like settings and are none;
 * undefined if there are none.
 */
export function describeUnknownSettings (): string | undefined {
  const unknown = unknownSettings(readEnvironment())
  return unknown.length === 0 ? undefined : inWords(unknown)
}

/** The address to listen on: a run that prints a token is for this machine only. */
export function listenHost (settings: Settings): string {
  return settings.HOST ?? (printsToken(settings) ? '127.0.0.1' : '0.0.0.0')
}

/** Whether a run makes a secret of its own and prints an administrator's token. */
export function printsToken ({ JWT_SECRET, NODE_ENV }: Settings): boolean {
  return JWT_SECRET === undefined && NODE_ENV !== 'production'
}

function inWords (unknown: UnknownSetting[]): string {
  return unknown
    .slice(0, MOST_NAMED)
    .map(({ name, meant }) => {
      const shown = JSON.stringify(name.slice(0, LONGEST_NAME)).slice(1, -1)
      return meant === undefined ? shown : `${shown} (did you mean ${meant}?)`
    })
    .join(', ')
}

function readEnvironment (): NodeJS.ProcessEnv {
  return { ...withoutEmpty(readDotenv()), ...withoutEmpty(process.env) }
}

function withoutEmpty (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
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
 * The PEM files that settings name. They are read again when they have changed, by whoever looks at
 * the texts: that is, for each connection.
 * @throws ConfigError that names the variable whose file cannot be read
 */
export function readTlsFiles (settings: Settings, service: 'REDIS' | 'ETCD'): TlsFiles {
  const watched = (part: 'CA' | 'CERT' | 'KEY') => watchPem(settings, `${service}_TLS_${part}`)
  const [ca, cert, key] = [watched('CA'), watched('CERT'), watched('KEY')]
  return {
    get ca () {
      return ca?.text
    },
    get cert () {
      return cert?.text
    },
    get key () {
      return key?.text
    }
  }
}

/**
 * The public keys of the identity provider, none if no file is set. They are read again when the
 * file has changed, and stay as they were while it has none that can be used.
 * @param onChange - told whether the file could be used when it had changed
 * @throws ConfigError when the file cannot be read or has a key that cannot verify tokens
 */
export function readPublicKeys (
  settings: Settings,
  onChange: (problem: string | undefined) => void = () => {}
): () => VerificationKey[] {
  const file = watchPem(settings, 'JWT_PUBLIC_KEYS')
  if (file === undefined) return () => []
  let pem = file.text
  let keys: VerificationKey[]
  try {
    keys = publicKeysOf(pem)
  } catch (error) {
    throw wrong(
      'JWT_PUBLIC_KEYS',
      `must name a PEM file with public keys; this file ${(error as Error).message}`
    )
  }
  return () => {
    if (file.text === pem) return keys
    pem = file.text
    try {
      keys = publicKeysOf(pem)
      onChange(undefined)
    } catch (error) {
      onChange((error as Error).message)
    }
    return keys
  }
}

function watchPem (
  settings: Settings,
  name: `${'REDIS' | 'ETCD'}_TLS_${'CA' | 'CERT' | 'KEY'}` | 'JWT_PUBLIC_KEYS'
): WatchedFile | undefined {
  const path = settings[name]
  if (path === undefined) return undefined
  try {
    return new WatchedFile(path)
  } catch (error) {
    const { code = 'failed' } = error as NodeJS.ErrnoException
    throw new ConfigError(`${name}: must name a PEM file that can be read (${code})`)
  }
}

function validated (data: Record<string, string>): Settings {
  for (const [name, value] of Object.entries(data)) {
    if (formOf(name).type === 'integer' && !/^-?\d{1,15}$/.test(value)) throw notAllowed(name, data)
  }
  try {
    return envSchema<Settings>({ schema: structuredClone(SettingsSchema), data, env: false })
  } catch (error) {
    const [first] = (error as { errors?: SchemaError[] }).errors ?? []
    if (first === undefined) throw error
    throw notAllowed(first.instancePath.slice(1), data)
  }
}

function notAllowed (name: string, data: Record<string, string>): ConfigError {
  return wrong(name as keyof Settings, whatItMayBe(name), data[name])
}
