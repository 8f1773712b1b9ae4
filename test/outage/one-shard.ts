import type { Breaker } from '../../services/outage/breaker.ts'
import type { Shards } from '../../services/outage/shards.ts'

/** All of Redis in one part, which every probe finds in order. */
export function oneShard (breaker: Breaker): Shards {
  return {
    of: () => ({ breaker }),
    failed: (_username: string, error: unknown) => breaker.trip(error),
    check: async () => {},
    areOne: true,
    get allOpen () {
      return breaker.open
    }
  } as unknown as Shards
}
