/** A probe: shows that Redis serves, writes included, and which data it holds. */
import { randomUUID } from 'node:crypto'
import type { Seen } from '../outage/breaker.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { LEARNING_MS } from '../sessions/timing.ts'

/**
 * Asks every master for what the service needs, a write included.
 * @param onLearning - told whether the data began so short a time ago that calls may be unknown
 */
export async function probe (
  executor: RedisExecutor,
  keys: RedisKeys,
  onLearning: (learning: boolean) => void
): Promise<Seen> {
  // A new one each time: the generation that this process began may be lost, too.
  const begun = randomUUID()
  const seen = await executor.run(
    Promise.all(
      keys.generations.map(
        async (key) => (await executor.scripts.probe([key], [begun])) as [string, number, string]
      )
    )
  )
  onLearning(Math.min(...seen.map(([, ageMs]) => ageMs)) < LEARNING_MS)
  return {
    generation: seen.map(([generation]) => generation).join(' '),
    servers: [...new Set(seen.map(([, , server]) => server))].sort().join(' ')
  }
}
