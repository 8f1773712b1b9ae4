/** Finds variables that look like settings and are none: most are slips of the pen. */
import { SettingsSchema } from '../../schemas/settings.ts'
import { isLinked } from './environment.ts'

const NAMES = Object.keys(SettingsSchema.properties)

/** The beginnings of our settings, and of no other program's variables. */
const PREFIX = new RegExp(
  '^(?:REDIS|ETCD|JWT|RATE_LIMIT|SESSION_LIMIT|MAX_SESSIONS|MOCK_SESSION|ENABLE_SESSION|OUTAGE|' +
    'SIP_REJECT|GHOST|CORS|TRUSTED_PROX|SHUTDOWN_DRAIN|BIND_NODE|API_KEYS|LOGIN_TOKEN|ADMIN_PASS)',
  'i'
)

/** Names shorter than this are alike by chance: PATH and PORT. */
const SHORTEST_NEAR = 7

/** How many edits may lie between a name and the setting that is meant. */
const MOST_EDITS = 3

/** A variable that is no setting, and the setting that may be meant. */
export interface UnknownSetting {
  name: string
  meant: string | undefined
}

/**
 * The variables of an environment that begin like our settings, or are spelled almost like one, and
 * are none. They have no effect.
 */
export function unknownSettings (env: NodeJS.ProcessEnv): UnknownSetting[] {
  return Object.entries(env)
    .filter(([name, value = '']) => !NAMES.includes(name) && value !== '' && !isLinked(name, value))
    .map(([name]) => ({ name, meant: nearest(name) }))
    .filter(({ name, meant }) => PREFIX.test(name) || meant !== undefined)
}

/** The setting whose name is most like this one, if one is. */
function nearest (name: string): string | undefined {
  if (name.length < SHORTEST_NEAR || name.length > 64) return undefined
  const wanted = name.toUpperCase().replaceAll('-', '_')
  const begun = PREFIX.test(name)
    ? NAMES.findLast((one) => wanted.startsWith(one) || one.startsWith(wanted))
    : undefined
  const [found] = NAMES.map((one) => ({ one, edits: editsBetween(wanted, one) }))
    .filter(({ one, edits }) => edits <= Math.min(MOST_EDITS, one.length / 4))
    .sort((a, b) => a.edits - b.edits)
  return found?.one ?? begun
}

/** The Levenshtein distance of two short texts. */
function editsBetween (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
        )
      )
    }
    row = next
  }
  return row[b.length] ?? 0
}
