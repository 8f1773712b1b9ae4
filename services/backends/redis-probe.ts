/** A probe: shows that Redis serves, writes included, and which data it holds. */
import { randomUUID } from 'node:crypto'
import { storeUnavailable } from '../errors.ts'
import type { Seen } from '../outage/breaker.ts'
import type { Watermark } from '../outage/watermark.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { LEARNING_MS } from '../sessions/timing.ts'

/** What probe.lua answers. */
type Probed = [
  generation: string,
  ageMs: number,
  server: string,
  nowMs: number,
  mark: string,
  isAsLeft: number,
  ...refused: string[]
]

/** What a probe writes: to when Redis knows all that this replica does. */
export interface ProbeMark {
  watermark: Watermark
  /** Whether Redis is asked, so that what is known here is known there, too. */
  isAsked: boolean
}

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
  { watermark, isAsked }: ProbeMark,
  { onLearning, onRefused }: ProbeListener
): Promise<Seen> {
  // A new one each time: the generation that this process began may be lost, too.
  const begun = randomUUID()
  const ask = async (generation: string, i: number): Promise<Probed> => {
    const marking = watermark.next(generation, isAsked)
    const own = ['text', 'sorted', 'set'].map((type) => `${keys.probes[i]}:${type}`)
    const reply = (await executor.scripts.probe(
      [generation, ...own, keys.watermark(generation, watermark.replica)],
      [begun, marking.mark, ...marking.before, marking.memoryMs]
    )) as Probed
    watermark.note(generation, marking, reply[4], reply[5] === 1)
    return reply
  }
  const seen = await executor.run(Promise.all(keys.generations.map(ask)))
  const refused = [...new Set(seen.flatMap(([, , , , , , ...commands]) => commands))]
  onRefused(refused)
  if (refused.length > 0) {
    throw storeUnavailable(new Error(`Redis refuses what admissions need: ${refused.join(', ')}`))
  }
  onLearning(Math.min(...seen.map(([, ageMs]) => ageMs)) < LEARNING_MS)
  const servers = [...new Set(seen.map(([, , server]) => server))].sort().join(' ')
  return {
    generation: seen.map(([generation]) => generation).join(' '),
    // A server that lost its last writes is another one, too.
    servers: `${servers} ${watermark.losses}`
  }
}
