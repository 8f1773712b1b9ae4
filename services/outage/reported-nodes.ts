/** Reports of switch nodes, and the end of a node, with and without Redis. */
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type {
  ForgetNodeResult,
  NodeReconciliation,
  Reconciled,
  ReconcileResult,
  RenewRequest
} from '../sessions/session-store.ts'
import { AT_ONCE, turn } from '../util/in-turns.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import { noteUp, type LocalParts } from './local-acquire.ts'
import type { NodeWord } from './outbox.ts'
import type { RetryOnce } from './retry-once.ts'
import type { Shards } from './shards.ts'
import { isUnavailable } from './unavailable.ts'
import { UserByUser } from './user-by-user.ts'

interface Parts extends LocalParts {
  store: RedisSessionStore
  shards: Shards
  retry: RetryOnce
}

/** Takes a node's report, by the mirror where all of Redis is out: then Redis is told later. */
export async function reconcileNode (
  parts: Parts,
  report: NodeReconciliation
): Promise<ReconcileResult> {
  const { store, mirror, outbox, shards } = parts
  const { node, epoch, ttlMs } = report
  const perUser = new UserByUser(parts, true, ttlMs)
  try {
    const result = await perUser.askNode(
      async () => await store.reconcileNode(report, perUser, shards)
    )
    if (result.outcome === 'reconciled') await noteReport(mirror, report, result, perUser.locally)
    return result
  } catch (error) {
    if (!isUnavailable(error) || !shards.allOpen) throw error
    const result = await mirror.reconcileNode(report)
    if (result.outcome !== 'reconciled') return result
    for (const { sessionId } of report.sessions) noteUp(parts, sessionId)
    outbox.putNode(node, { reported: { epoch, ttlMs } })
    putLapsed(parts, node, result.missing, { epoch })
    return { ...result, degraded: true }
  }
}

/** Forgets a node, in the mirror where all of Redis is out: then Redis is told later. */
export async function forgetNode (parts: Parts, node: string): Promise<ForgetNodeResult> {
  const { store, mirror, outbox, shards } = parts
  const perUser = new UserByUser(parts, true)
  try {
    const result = await perUser.askNode(async () => await store.forgetNode(node, perUser, shards))
    mirror.noteEpoch(node, undefined)
    await mirror.lapseAll(result.missing)
    return result
  } catch (error) {
    if (!isUnavailable(error) || !shards.allOpen) throw error
    const result = await mirror.forgetNode(node)
    // Redis and other replicas may know of more sessions.
    const forgottenMs = mirror.now()
    outbox.putNode(node, { forgottenMs, reported: undefined })
    putLapsed(parts, node, result.missing, { forgottenMs })
    return { ...result, degraded: true }
  }
}

/**
 * Takes over what came of a node's report: of the sessions that it names, and of no other. What was
 * admitted while the report was under way is not touched. Others have their turn on the way.
 * @param locally - users whose sessions the mirror has decided, and not Redis
 */
async function noteReport (
  mirror: LeaseMirror,
  { node, epoch, sessions, ttlMs }: NodeReconciliation,
  { outcomes, missing }: Reconciled,
  locally: ReadonlySet<string>
): Promise<void> {
  mirror.noteEpoch(node, { epoch, ttlMs })
  for (let from = 0; from < sessions.length; from += AT_ONCE) {
    if (from > 0) await turn()
    const up: RenewRequest[] = []
    for (const [i, session] of sessions.slice(from, from + AT_ONCE).entries()) {
      if (locally.has(session.username)) continue
      const outcome = outcomes[from + i]
      const { sessionId, username, attempt, boundTo } = session
      if (outcome === 'ended') mirror.forget(sessionId, { username, attempt }, boundTo)
      if (outcome === 'renewed' || outcome === 'reregistered') up.push(session)
    }
    await mirror.renewed(up, node, ttlMs)
  }
  await mirror.lapseAll(missing)
}

function putLapsed (
  { outbox }: Parts,
  node: string,
  missing: ForgetNodeResult['missing'],
  why: NodeWord
): void {
  for (const { sessionId, username } of missing) {
    outbox.put(sessionId, { kind: 'lapsed', username, node, why })
  }
}
