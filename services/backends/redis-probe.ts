/** A probe: shows that Redis serves, writes included, and which data it holds. */
import { randomUUID } from 'node:crypto'
import { storeUnavailable } from '../errors.ts'
import type { ProbeKey } from '../outage/shard.ts'
import type { Watermark } from '../outage/watermark.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'

/** What a probe told. */
export interface Probed {
  /** The generation of the data. */
  generation: string
  /** How long ago it began, in milliseconds. */
  ageMs: number
  /** The server process that answered; '' where it does not say. */
  server: string
  /** Which commands Redis refuses that an admission needs. */
  refused: string[]
}

/** What probe.lua answers. */
type Reply = [
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
  /** Which server processes are asked, so that they know what is known here, too. */
  asked: string[] | undefined
}

/**
 * Asks for what an admission needs, writes included.
 * @throws ServiceError `store_unavailable`
 */
export async function probe (
  executor: RedisExecutor,
  keys: RedisKeys,
  { key, own }: ProbeKey,
  { watermark, asked }: ProbeMark
): Promise<Probed> {
  // A new one each time: the generation that this process began may be lost, too.
  const begun = randomUUID()
  const { clock } = executor
  const marking = watermark.next(key, asked)
  const owns = ['text', 'sorted', 'set'].map((type) => `${own}:${type}`)
  const markKey = keys.watermark(key, watermark.replica)
  const sentMs = clock.steadyMs()
  const [generation, ageMs, server, redisMs, mark, isAsLeft, ...refused] = (await executor.run(
    executor.scripts.probe(
      [key, ...owns, markKey, keys.recent(markKey)],
      [
        begun,
        marking.mark,
        ...marking.before,
        marking.memoryMs,
        clock.outdated(key),
        marking.servers.join(' '),
        marking.recentMs,
        marking.isRecent ? '1' : ''
      ]
    )
  )) as Reply
  watermark.note(key, marking, { mark, isAsLeft: isAsLeft === 1, server })
  // A Redis that refuses TIME says no time.
  if (!refused.includes('time')) {
    clock.heard(key, { sentMs, redisMs, generation, isBegun: generation.startsWith(begun) })
  }
  return { generation, ageMs, server, refused }
}

/** @throws ServiceError `store_unavailable` where a command is refused that admissions need */
export function refuseRefused ({ refused }: Probed): void {
  if (refused.length === 0) return
  throw storeUnavailable(new Error(`Redis refuses what admissions need: ${refused.join(', ')}`))
}
