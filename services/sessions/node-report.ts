/** What came of a switch node's report. */
import type { Reconciled, RenewRequest, RenewResult } from './session-store.ts'

/**
 * Sums up a report, given what became of each of its sessions, in their order.
 * @param passed - ids of which a later attempt is known than the report names: a list that comes
 * late. That attempt has not ended, and a switch hangs up by the id.
 */
export function tallyReport (
  sessions: RenewRequest[],
  outcomes: Array<RenewResult['outcome']>,
  passed: ReadonlySet<string>
): Reconciled {
  const tally: Reconciled = {
    outcome: 'reconciled',
    outcomes,
    renewed: 0,
    registered: 0,
    released: 0,
    ended: [],
    conflicts: [],
    missing: []
  }
  sessions.forEach(({ sessionId }, i) => {
    const outcome = outcomes[i]
    if (outcome === 'renewed') tally.renewed++
    else if (outcome === 'reregistered') tally.registered++
    else if (outcome === 'ended') {
      if (!passed.has(sessionId)) tally.ended.push(sessionId)
    } else tally.conflicts.push(sessionId)
  })
  return tally
}
