/** What came of a switch node's report. */
import type { Reconciled, RenewRequest, RenewResult } from './session-store.ts'

/** Sums up a report, given what became of each of its sessions, in their order. */
export function tallyReport (
  sessions: RenewRequest[],
  outcomes: Array<RenewResult['outcome']>
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
    else if (outcome === 'ended') tally.ended.push(sessionId)
    else tally.conflicts.push(sessionId)
  })
  return tally
}
