/** A keyspace like that of a large installation: limits, and ten times as many keys of others. */
import { resp } from './redis.ts'

/** How many limits there are. */
export const LIMITS = 100_000
const OTHER_KEYS_PER_LIMIT = 10

/** Commands in Redis protocol, many keys to each. */
export function * fillKeyspace (): Generator<string> {
  const users = 100
  for (let first = 0; first < LIMITS; first += users) {
    const words = ['MSET']
    for (let user = first; user < first + users; user++) {
      words.push(
        `voice-ferry-c4:user-limit:user-${String(user).padStart(8, '0')}`,
        String(user % 50)
      )
      for (let other = 0; other < OTHER_KEYS_PER_LIMIT; other++) {
        words.push(`other:${user}:${other}`, 'x')
      }
    }
    yield resp(...words)
  }
}

/** This many keys of others, and nothing else. */
export function * fillOtherKeys (keys: number): Generator<string> {
  const atOnce = 1000
  for (let first = 0; first < keys; first += atOnce) {
    yield resp(
      'MSET',
      ...Array.from({ length: atOnce }, (_, i) => [`other:${first + i}`, 'x']).flat()
    )
  }
}
