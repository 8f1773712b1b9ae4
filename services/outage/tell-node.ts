/** Tells Redis what nodes reported while it was away, and which of them were forgotten. */
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import type { Reach } from '../redis/reach.ts'
import { PLAINLY, type PerUser } from '../sessions/redis/per-user.ts'
import { epochOf, noteEpoch } from '../sessions/redis/node-epoch.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { NodeMessage, NodeWord, Outbox } from './outbox.ts'
import { redisAway } from './retry-once.ts'
import type { Part } from './shard.ts'

/** What is asked, and how: in a Cluster the keys of a node may be out. */
export interface NodeParts {
  executor: RedisExecutor
  keys: RedisKeys
  reach: Reach
}

/**
 * Whether Redis has heard something newer of a node: a report was a late message of a process that
 * is gone, or the node has reported elsewhere since it was forgotten.
 * @throws ServiceError `store_unavailable`
 */
export async function isOutdated (
  parts: NodeParts & { mirror: Pick<LeaseMirror, 'now'> },
  node: string,
  word: NodeWord
): Promise<boolean> {
  const known = await epochOf(parts, node)
  if (known === undefined) return false
  return 'epoch' in word
    ? known.epoch > word.epoch && known.sinceMs < known.ttlMs
    : known.sinceMs < parts.mirror.now() - word.forgottenMs
}

/**
 * Tells what is known of a node. A report that it sent elsewhere since it was forgotten is newer.
 * What it had begun to send in parts before the outage is not what it goes on with.
 * @throws ServiceError `store_unavailable`
 */
export async function tellNode (
  parts: NodeParts & { store: RedisSessionStore; mirror: LeaseMirror; outbox: Outbox },
  part: Part,
  { node, reported, forgottenMs }: NodeMessage
): Promise<void> {
  const { executor, keys, reach, store, mirror } = parts
  if (forgottenMs !== undefined) {
    if (!(await isOutdated(parts, node, { forgottenMs }))) {
      const perUser = forLater(parts, part, { node, forgottenMs })
      await store.forgetNode(node, perUser, reach, mirror.byOtherClock(forgottenMs))
    }
  }
  if (reported === undefined) return
  const noted = await noteEpoch(parts, node, reported)
  if (noted === undefined && part.holds(keys.nodeEpoch(node))) throw redisAway()
  const underway = keys.nodeReport(node)
  await reach.ask(underway, async () => await executor.run(executor.client.del(underway)), true)
}

/** Leaves the sessions of users who are out until their part is back. */
function forLater (
  { keys, outbox }: { keys: RedisKeys; outbox: Outbox },
  part: Part,
  { node, forgottenMs }: { node: string; forgottenMs: number }
): PerUser {
  return {
    ...PLAINLY,
    async lapse ({ username, sessionId }, question) {
      if (!part.isOut(keys.user('user-leases', username))) return await question()
      outbox.put(sessionId, { kind: 'lapsed', username, node, why: { forgottenMs } })
      return false
    }
  }
}
