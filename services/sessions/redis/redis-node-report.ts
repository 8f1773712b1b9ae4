/** A switch node's report on Redis: its list is the truth about its calls. */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
import { tallyReport } from '../node-report.ts'
import type {
  NodeReconciliation,
  ReconcileResult,
  RenewRequest
} from '../session-store.ts'
import type { NodeRenewals } from './redis-renewals.ts'
import type { ReleasedFrom, ReleaseOptions } from './redis-session-store.ts'

/** How many sessions are released at once. */
const RELEASES_AT_ONCE = 50

/** The verbs that a report is made of. */
interface NodeVerbs {
  /** Renews or registers sessions as those of a node. */
  renewOnNode(node: string, sessions: RenewRequest[], ttlMs: number): Promise<NodeRenewals>
  /** Ends a session if it is of this node and started at or before `startedByMs`. */
  releaseFrom(
    username: string,
    sessionId: string,
    reason: string,
    options: ReleaseOptions
  ): Promise<ReleasedFrom>
}

/** Renews what is known, registers what is missing, then releases what the node no longer has. */
export async function reconcileNode (
  executor: RedisExecutor,
  keys: RedisKeys,
  verbs: NodeVerbs,
  report: NodeReconciliation
): Promise<ReconcileResult> {
  const { node, epoch, sessions, ttlMs, asOfMs } = report
  const [code, value] = (await executor.run(
    executor.scripts.reportNode([keys.nodes], [node, epoch])
  )) as [number, number]
  const outcome = outcomeOf(code)
  if (outcome === 'stale_epoch') return { outcome, epoch: Number(value) }
  const renewals = await verbs.renewOnNode(node, sessions, ttlMs)
  const tally = tallyReport(sessions, renewals.outcomes)
  // What started since the report came in is not in it, whenever the list was taken.
  const when = { node, startedByMs: Math.min(asOfMs, value) }
  const kept = tally.renewed + tally.registered
  const missing = await missingMembers(executor, keys, { report, renewals, kept, nowMs: value })
  await forEachLimit(missing, RELEASES_AT_ONCE, async (member) => {
    const [username = '', sessionId = ''] = member.split(' ')
    const result = await verbs.releaseFrom(username, sessionId, 'missing on its node', when)
    if (result.outcome === 'released') tally.missing.push({ sessionId, username })
  })
  tally.released = tally.missing.length
  return tally
}

/**
 * The members of a node's index that its report does not list. The whole index is long to read:
 * that is left out where the index has just as many members as were renewed, and where those
 * outside the time at which the renewed ones end are all that are too many.
 */
async function missingMembers (
  executor: RedisExecutor,
  keys: RedisKeys,
  known: { report: NodeReconciliation; renewals: NodeRenewals; kept: number; nowMs: number }
): Promise<string[]> {
  const { client } = executor
  const { report, renewals, kept, nowMs } = known
  const { node, sessions } = report
  const index = keys.nodeLeases(node)
  const members = async (reply: Promise<string[]>) =>
    await executor.run(executor.or<string[]>([], reply))
  // What the index names beyond its end is no lease any more.
  const [, held] = await executor.run(
    Promise.all([
      executor.or(0, client.zremrangebyscore(index, '-inf', nowMs)),
      executor.or(0, client.zcard(index))
    ])
  )
  const distinct = new Set(sessions.map(({ sessionId }) => sessionId)).size === sessions.length
  if (distinct && held === kept) return []
  const listed = new Set(sessions.map(({ username, sessionId }) => `${username} ${sessionId}`))
  const isMissing = (member: string) => !listed.has(member)
  const outside = await Promise.all([
    members(client.zrangebyscore(index, '-inf', `(${renewals.earliestEndMs}`)),
    members(client.zrangebyscore(index, `(${renewals.latestEndMs}`, '+inf'))
  ])
  const missing = outside.flat().filter(isMissing)
  if (distinct && kept + missing.length === held) return missing
  return (await members(client.zrange(index, '0', '-1'))).filter(isMissing)
}
