/** What switch nodes have reported, in memory: their epochs, and reports that come in parts. */
import { MAX_NODE_SESSIONS, MAX_PARTS } from '../../../schemas/nodes.ts'
import type { BoundedMap } from '../../util/bounded-map.ts'
import type { NodeReconciliation } from '../session-store.ts'
import { NODE_MEMORY_MS, PART_MEMORY_MS } from '../timing.ts'

/** What a switch node has last reported, and when. */
export interface NodeReportState {
  epoch: number
  lastSeenMs: number
  ttlMs: number
  /** A report under way that comes in parts. */
  parts?: {
    of: number
    last: number
    given: number
    before: number
    firstMs: number
    /** How many sessions all parts mean to give; undefined where none of them has said. */
    total: number | undefined
  }
  /** What its parts have listed so far; the last one may come again. */
  listed?: Set<string>
}

/**
 * The most ids that all reports under way have listed together: those of one report as long as can
 * be.
 */
const MOST_LISTED = MAX_PARTS * MAX_NODE_SESSIONS

/** A report that goes on: what has been listed so far, and when its first part came. */
interface Underway {
  listed: Set<string>
  firstMs: number | undefined
}

/** Notes a report, as report-node.lua and report-part.lua do; or says why it is refused. */
export function noteReport (
  reports: BoundedMap<string, NodeReportState>,
  report: NodeReconciliation,
  now: number
): Underway | { outcome: 'stale_epoch'; epoch: number } | { outcome: 'incomplete' } {
  const { node, epoch, ttlMs, part } = report
  forgetOld(reports, now)
  const known = reports.get(node)
  if (known !== undefined && known.epoch > epoch && now - known.lastSeenMs < known.ttlMs) {
    return { outcome: 'stale_epoch', epoch: known.epoch }
  }
  const state: NodeReportState = { epoch, lastSeenMs: now, ttlMs }
  if (part === undefined) {
    reports.put(node, state)
    return { listed: new Set(), firstMs: undefined }
  }
  const parts = nextPart(known, report, part, now)
  const listed = part.number === 1 ? new Set<string>() : (known?.listed ?? new Set<string>())
  if (parts !== undefined) reports.put(node, { ...state, parts, listed })
  else reports.put(node, { ...known, ...state })
  giveUpLists(reports, now)
  const isOff = part.number === part.of && (parts?.total ?? parts?.given) !== parts?.given
  const isKept = reports.get(node)?.listed === listed
  if (parts === undefined || isOff || !isKept) return { outcome: 'incomplete' }
  return { listed, firstMs: parts.firstMs }
}

function nextPart (
  known: NodeReportState | undefined,
  { epoch, given, ageMs, total }: NodeReconciliation,
  { number, of }: { number: number; of: number },
  now: number
): NodeReportState['parts'] {
  if (number === 1) return { of, last: 1, given, before: 0, firstMs: now - ageMs, total }
  const { parts, lastSeenMs = 0 } = known ?? {}
  const isOther = known?.epoch !== epoch || parts?.of !== of || now - lastSeenMs > PART_MEMORY_MS
  if (parts === undefined || isOther || number < parts.last || number > parts.last + 1) {
    return undefined
  }
  const before = number === parts.last ? parts.before : parts.given
  const itsTotal = total ?? parts.total
  return { ...parts, last: number, before, given: before + given, total: itsTotal }
}

/** Nodes that nobody has heard of for a day; those heard of longest ago stand first. */
function forgetOld (reports: BoundedMap<string, NodeReportState>, now: number): void {
  for (const [node, { lastSeenMs }] of reports) {
    if (now - lastSeenMs < NODE_MEMORY_MS) return
    reports.delete(node)
  }
}

/**
 * Gives up reports of parts that nobody goes on with, and more of them where they have listed too
 * much: those heard of longest ago first. Their next part is refused.
 */
function giveUpLists (reports: BoundedMap<string, NodeReportState>, now: number): void {
  let listed = 0
  for (const state of reports.values()) listed += state.listed?.size ?? 0
  for (const state of reports.values()) {
    if (listed <= MOST_LISTED && now - state.lastSeenMs <= PART_MEMORY_MS) return
    listed -= state.listed?.size ?? 0
    delete state.parts
    delete state.listed
  }
}
