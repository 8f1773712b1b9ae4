/**
 * Takes the settings out of an environment, as people and programs write them: a line break at the
 * end of a secret, `True` for `true`, and what Kubernetes sets beside a Service of the same name.
 */
import { SettingsSchema } from '../../schemas/settings.ts'
import { formOf } from './config-error.ts'

/** Texts in which blanks may mean something: only line breaks at their end are cut off. */
const AS_WRITTEN = /SECRET|PASSWORD|REASON|KEY_PREFIX|^ADMIN_USERNAME$/

/** The address of a Service, as Kubernetes and Docker links set it. */
const LINKED_ADDRESS = /^(?:tcp|udp|sctp):\/\/\S*$/

/** Where Redis is: the first that is set says so, and makes the others idle. */
const REDIS_PLACES = [
  ['REDIS_CLUSTER_NODES', ['REDIS_CLUSTER_NODES']],
  [
    'REDIS_SENTINELS',
    [
      'REDIS_SENTINELS',
      'REDIS_SENTINEL_MASTER',
      'REDIS_SENTINEL_USERNAME',
      'REDIS_SENTINEL_PASSWORD',
      'REDIS_DB'
    ]
  ],
  ['REDIS_URL', ['REDIS_URL', 'REDIS_DB']],
  ['REDIS_HOST', ['REDIS_HOST', 'REDIS_PORT', 'REDIS_DB']]
] as const

const PLACE_SETTINGS: ReadonlySet<string> = new Set(REDIS_PLACES.flatMap(([, used]) => used))

/**
 * The settings of an environment, without empty ones and without those that another one makes idle:
 * REDIS_PORT beside REDIS_URL, for instance, and everything about Redis where all is kept in
 * memory.
 */
export function settingsOf (env: NodeJS.ProcessEnv): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const name of Object.keys(SettingsSchema.properties)) {
    const value = clean(name, env[name] ?? '')
    if (value !== '' && !isLinked(name, value)) settings[name] = value
  }
  const idle = idleAmong(settings)
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !idle(name)))
}

/** Whether a variable is one that Kubernetes or Docker sets for a Service, and nobody else. */
export function isLinked (name: string, value: string): boolean {
  if (/_SERVICE_(?:HOST|PORT(?:_\w+)?)$/.test(name)) return true
  if (/_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?$/.test(name)) return true
  return name.endsWith('_PORT') && LINKED_ADDRESS.test(value)
}

function clean (name: string, value: string): string {
  if (AS_WRITTEN.test(name)) return value.replace(/[\r\n]+$/, '')
  const { type, enum: set } = formOf(name)
  const text = value.trim()
  return type === 'boolean' || set !== undefined ? text.toLowerCase() : text
}

function idleAmong (settings: Record<string, string>): (name: string) => boolean {
  if (settings.MOCK_SESSION_LIMITS === 'true') return (name) => name.startsWith('REDIS_')
  const [, used] = REDIS_PLACES.find(([place]) => settings[place] !== undefined) ?? []
  if (used === undefined) return () => false
  return (name) => PLACE_SETTINGS.has(name) && !used.some((one) => one === name)
}
