/** A probe: shows that Redis serves, writes included, and which data it holds. */
import { randomUUID } from 'node:crypto'
import { storeUnavailable } from '../errors.ts'
import type { Seen } from '../outage/breaker.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { LEARNING_MS } from '../sessions/timing.ts'

/** What probe.lua answers. */
type Probed = [
  generation: string,
  ageMs: number,
  server: string,
  nowMs: number,
  ...refused: string[]
]

/** Told of what a probe finds besides. */
export interface ProbeListener {
  /** Whether the data began so short a time ago that calls may be unknown. */
  onLearning: (learning: boolean) => void
  /** Which commands Redis refuses that an admission needs. */
  onRefused: (commands: string[]) => void
}

/**
 * Asks every master for what an admission needs, writes included.
 * @throws ServiceError `store_unavailable` also where one of the commands is refused
 */
export async function probe (
  executor: RedisExecutor,
  keys: RedisKeys,
  { onLearning, onRefused }: ProbeListener
): Promise<Seen> {
  // A new one each time: the generation that this process began may be lost, too.
  const begun = randomUUID()
  const seen = (await executor.run(
    Promise.all(
      keys.generations.map(async (generation, i) => {
        const own = ['text', 'sorted', 'set'].map((type) => `${keys.probes[i]}:${type}`)
        return await executor.scripts.probe([generation, ...own], [begun])
      })
    )
  )) as Probed[]
  const refused = [...new Set(seen.flatMap(([, , , , ...commands]) => commands))]
  onRefused(refused)
  if (refused.length > 0) {
    throw storeUnavailable(new Error(`Redis refuses what admissions need: ${refused.join(', ')}`))
  }
  onLearning(Math.min(...seen.map(([, ageMs]) => ageMs)) < LEARNING_MS)
  return {
    generation: seen.map(([generation]) => generation).join(' '),
    servers: [...new Set(seen.map(([, , server]) => server))].sort().join(' ')
  }
}
