/** A switch node's report on Redis: its list is the truth about its calls. */
import { partly, storeUnavailable } from '../../errors.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import type { Reach } from '../../redis/reach.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
import { forEachInTurns } from '../../util/in-turns.ts'
import { tallyReport } from '../node-report.ts'
import type { NodeReconciliation, ReconcileResult, RenewRequest } from '../session-store.ts'
import { noteEpoch } from './node-epoch.ts'
import { attemptOf } from './lease-record.ts'
import type { PerUser } from './per-user.ts'
import { STEP, membersOf, removeExpired, removeSet } from './node-index.ts'
import { missingInParts, noteListed, notePart } from './redis-report-parts.ts'
import type { NodeRenewals } from './redis-renewals.ts'
import type { ReleaseOptions, ReleasesFrom } from './release-script.ts'

/** How many sessions lapse at once. */
const LAPSES_AT_ONCE = 50
const MISSING = 'missing on its node'

/** What a report is made of. */
export interface ReportParts {
  executor: RedisExecutor
  keys: RedisKeys
  verbs: NodeVerbs
  perUser: PerUser
  /** For the keys of the node, which in a Cluster may be out while users' are not. */
  reach: Reach
}

/** The verbs that a report is made of. */
interface NodeVerbs extends ReleasesFrom {
  /** Renews or registers sessions as those of a node. */
  renewOnNode(
    node: string,
    sessions: RenewRequest[],
    ttlMs: number,
    perUser: PerUser
  ): Promise<NodeRenewals>
}

/**
 * Renews what is known, registers what is missing, then frees the slots of what is not listed.
 * Where the keys of the node are out, nobody knows what that would be: nothing is freed.
 */
export async function reconcileNode (
  parts: ReportParts,
  report: NodeReconciliation
): Promise<ReconcileResult> {
  const begun = await begin(parts, report)
  return 'outcome' in begun ? begun : await partly(async () => await take(parts, report, begun))
}

async function take (
  parts: ReportParts,
  report: NodeReconciliation,
  { nowMs, progress }: Noted
): Promise<ReconcileResult> {
  const { executor, keys, verbs, perUser, reach } = parts
  const { node, sessions, ttlMs, asOfMs, ageMs, youngMs, part } = report
  const renewals = await verbs.renewOnNode(node, sessions, ttlMs, perUser)
  if (renewals.outcomes.includes('forbidden')) return { outcome: 'forbidden' }
  const passed = await passedBy(parts, sessions, renewals.outcomes)
  const tally = tallyReport(sessions, renewals.outcomes, passed)
  if (nowMs === undefined) return { ...tally, degraded: true }
  if (part !== undefined && part.number < part.of) return tally
  const takenMs = Math.min(asOfMs, progress?.firstMs ?? nowMs - ageMs)
  const options = { node, startedByMs: Math.floor(takenMs - youngMs), lapses: true }
  const kept = tally.renewed + tally.registered
  const missing = await reach.ask(keys.nodeLeases(node), async () =>
    part === undefined
      ? await missingMembers(executor, keys, { report, renewals, kept })
      : await missingInParts(executor, keys, node)
  )
  if (missing === undefined) return { ...tally, degraded: true }
  tally.missing = await lapse(parts, missing, options)
  tally.released = tally.missing.length
  return tally
}

/** Ids of which a later attempt is known than the report names. */
async function passedBy (
  { executor, keys, reach }: ReportParts,
  sessions: RenewRequest[],
  outcomes: NodeRenewals['outcomes']
): Promise<Set<string>> {
  const passed = new Set<string>()
  const late = sessions.filter((one, i) => outcomes[i] === 'ended' && one.attempt !== undefined)
  await forEachLimit(late, LAPSES_AT_ONCE, async ({ username, sessionId, attempt = 0 }) => {
    const key = keys.lease(username, sessionId)
    const record = await reach.ask(key, async () =>
      await executor.run(executor.or(null, executor.client.get(key))))
    if ((attemptOf(record ?? '') ?? 0) > attempt) passed.add(sessionId)
  })
  return passed
}

/** That a report has come, and when, unless the node's keys are out. */
interface Noted {
  nowMs: number | undefined
  progress?: { firstMs: number }
}

/** That a report has come, or why it is refused. */
type Begun =
  | Noted
  | { outcome: 'stale_epoch'; epoch: number }
  | { outcome: 'incomplete' }

/** Notes that a report has come. */
async function begin (parts: ReportParts, report: NodeReconciliation): Promise<Begun> {
  const { node, part } = report
  const reply = await noteEpoch(parts, node, report)
  if (reply === undefined) return { nowMs: undefined }
  const [code, value] = reply
  const outcome = outcomeOf(code)
  if (outcome === 'stale_epoch') return { outcome, epoch: Number(value) }
  if (part !== undefined) return await beginPart(parts, report, part, value)
  // A whole list is later than the parts that came so far: nothing goes on with those.
  await drop(parts, parts.keys.nodeReport(node))
  return { nowMs: value }
}

/**
 * Notes a part, once what it lists is kept: the last part frees what those that were noted have not
 * listed.
 */
async function beginPart (
  parts: ReportParts,
  report: NodeReconciliation,
  part: { number: number; of: number },
  nowMs: number
): Promise<Begun> {
  const { executor, keys, reach } = parts
  const [progressKey, listed] = [keys.nodeReport(report.node), keys.nodeListed(report.node)]
  if (part.number === 1) await drop(parts, progressKey)
  const isKept = await reach.ask(
    listed,
    async () => await noteListed(executor, keys, report, part)
  )
  if (isKept === undefined) return { nowMs: undefined }
  if (!isKept) return { outcome: 'incomplete' }
  const progress = await reach.ask(
    progressKey,
    async () => await notePart(executor, keys, report, part)
  )
  if (progress === 'incomplete') return { outcome: progress }
  return progress === undefined ? { nowMs: undefined } : { nowMs, progress }
}

/**
 * Forgets a node: its epoch, its report under way, and the slots of its sessions.
 * @param startedByMs - only of sessions that began by then; undefined for all
 * @throws ServiceError `store_unavailable` where its keys are out
 */
export async function forgetNode (parts: ReportParts, node: string, startedByMs?: number) {
  const { executor, keys, reach } = parts
  const index = keys.nodeLeases(node)
  const members = await reach.ask(index, async () => {
    const all = new Set<string>()
    for await (const some of membersOf(executor, index)) for (const one of some) all.add(one)
    return [...all]
  })
  if (members === undefined) throw storeUnavailable(new Error('the index of this node is out'))
  return await partly(async () => {
    await drop(parts, keys.nodeEpoch(node))
    await drop(parts, keys.nodeReport(node))
    const listed = keys.nodeListed(node)
    await reach.ask(listed, async () => await removeSet(executor, listed))
    return { missing: await lapse(parts, members, { node, lapses: true, startedByMs }) }
  })
}

/** Removes a key of a node, unless it is out. */
async function drop ({ executor, reach }: ReportParts, key: string): Promise<void> {
  await reach.ask(key, async () => await executor.run(executor.client.del(key)))
}

/** Lets members of a node's index lapse; returns those that were live. */
async function lapse ({ verbs, perUser }: ReportParts, members: string[], options: ReleaseOptions) {
  const lapsed: Array<{ sessionId: string; username: string }> = []
  await forEachLimit(members, LAPSES_AT_ONCE, async (member) => {
    const [username = '', sessionId = ''] = member.split(' ')
    const session = { sessionId, username }
    const isLapsed = await perUser.lapse(session, async () => {
      const { outcome } = await verbs.releaseFrom(username, sessionId, MISSING, options)
      return outcome === 'released'
    })
    if (isLapsed) lapsed.push(session)
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
  { report, renewals, kept }: { report: NodeReconciliation; renewals: NodeRenewals; kept: number }
): Promise<string[]> {
  const { node, sessions } = report
  const index = keys.nodeLeases(node)
  await removeExpired(executor, index)
  const held = await executor.run(executor.or(0, executor.client.zcard(index)))
  const distinct = new Set(sessions.map(({ sessionId }) => sessionId)).size === sessions.length
  if (distinct && held === kept) return []
  const listed = new Set<string>()
  await forEachInTurns(sessions, (one) => listed.add(`${one.username} ${one.sessionId}`))
  const isMissing = (member: string) => !listed.has(member)
  if (distinct && held - kept <= STEP) {
    const missing = (await outsideOf(executor, index, renewals)).filter(isMissing)
    if (kept + missing.length === held) return missing
  }
  const missing = new Set<string>()
  for await (const members of membersOf(executor, index)) {
    for (const member of members) if (isMissing(member)) missing.add(member)
  }
  return [...missing]
}

/** Some of the members that end at another time than the renewed ones: all, where they are few. */
async function outsideOf (
  executor: RedisExecutor,
  index: string,
  { earliestEndMs, latestEndMs }: NodeRenewals
): Promise<string[]> {
  const range = async (from: string, to: string) =>
    await executor.run(
      executor.or<string[]>(
        [],
        executor.client.zrangebyscore(index, from, to, 'LIMIT', 0, STEP)
      )
    )
  const sides = [range('-inf', `(${earliestEndMs}`), range(`(${latestEndMs}`, '+inf')]
  return (await Promise.all(sides)).flat()
}
