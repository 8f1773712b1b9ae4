/** A switch node's report on Redis: its list is the truth about its calls. */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
import { tallyReport } from '../node-report.ts'
import type { NodeReconciliation, ReconcileResult, RenewRequest } from '../session-store.ts'
import { NODE_MEMORY_MS } from '../timing.ts'
import { missingInParts, noteListed, notePart } from './redis-report-parts.ts'
import type { NodeRenewals } from './redis-renewals.ts'
import type { ReleasedFrom, ReleaseOptions } from './release-script.ts'

/** How many sessions lapse at once. */
const LAPSES_AT_ONCE = 50
const MISSING = 'missing on its node'

/** The verbs that a report is made of. */
interface NodeVerbs {
  /** Renews or registers sessions as those of a node. */
  renewOnNode(node: string, sessions: RenewRequest[], ttlMs: number): Promise<NodeRenewals>
  /** Lets a session lapse if it is of this node and started at or before `startedByMs`. */
  releaseFrom(
    username: string,
    sessionId: string,
    reason: string,
    options: ReleaseOptions
  ): Promise<ReleasedFrom>
}

/** Renews what is known, registers what is missing, then frees the slots of what is not listed. */
export async function reconcileNode (
  executor: RedisExecutor,
  keys: RedisKeys,
  verbs: NodeVerbs,
  report: NodeReconciliation
): Promise<ReconcileResult> {
  const { node, epoch, sessions, ttlMs, asOfMs, ageMs, youngMs, part } = report
  const [code, value] = (await executor.run(
    executor.scripts.reportNode([keys.nodeEpoch(node)], [epoch, ttlMs, NODE_MEMORY_MS])
  )) as [number, number]
  const outcome = outcomeOf(code)
  if (outcome === 'stale_epoch') return { outcome, epoch: Number(value) }
  const progress = part && (await notePart(executor, keys, report, part))
  if (progress === 'incomplete') return { outcome: progress }

  const renewals = await verbs.renewOnNode(node, sessions, ttlMs)
  if (renewals.outcomes.includes('forbidden')) return { outcome: 'forbidden' }
  const tally = tallyReport(sessions, renewals.outcomes)
  if (part !== undefined) {
    await noteListed(executor, keys, node, sessions)
    if (part.number < part.of) return tally
  }
  const takenMs = Math.min(asOfMs, progress?.firstMs ?? value - ageMs)
  const options = { node, startedByMs: Math.floor(takenMs - youngMs), lapses: true }
  const kept = tally.renewed + tally.registered
  const missing =
    part === undefined
      ? await missingMembers(executor, keys, { report, renewals, kept, nowMs: value })
      : await missingInParts(executor, keys, node)
  tally.missing = await lapse(verbs, missing, options)
  tally.released = tally.missing.length
  return tally
}

/** Forgets a node: its epoch, its report under way, and the slots of its sessions. */
export async function forgetNode (
  executor: RedisExecutor,
  keys: RedisKeys,
  verbs: Pick<NodeVerbs, 'releaseFrom'>,
  node: string
) {
  const { client } = executor
  const names = [keys.nodeEpoch(node), keys.nodeReport(node), keys.nodeListed(node)]
  await executor.run(Promise.all(names.map(async (key) => await client.del(key))))
  const index = keys.nodeLeases(node)
  const members = await executor.run(executor.or<string[]>([], client.zrange(index, '0', '-1')))
  return { missing: await lapse(verbs, members, { node, lapses: true }) }
}

/** Lets members of a node's index lapse; returns those that were live. */
async function lapse (
  verbs: Pick<NodeVerbs, 'releaseFrom'>,
  members: string[],
  options: ReleaseOptions
) {
  const lapsed: Array<{ sessionId: string; username: string }> = []
  await forEachLimit(members, LAPSES_AT_ONCE, async (member) => {
    const [username = '', sessionId = ''] = member.split(' ')
    const { outcome } = await verbs.releaseFrom(username, sessionId, MISSING, options)
    if (outcome === 'released') lapsed.push({ sessionId, username })
  })
  return lapsed
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
