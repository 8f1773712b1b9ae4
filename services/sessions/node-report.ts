/** What came of a switch node's report. */
import type { Reconciled, RenewRequest, RenewResult } from './session-store.ts'

/** Sums up the results of a report, in the order of its sessions. */
export function tallyReport (sessions: RenewRequest[], results: RenewResult[], released: number): Reconciled {
  const tally = { outcome: 'reconciled' as const, renewed: 0, registered: 0, released, ended: [] as string[], conflicts: [] as string[] }
  sessions.forEach(({ sessionId }, i) => {
    const outcome = results[i]?.outcome
    if (outcome === 'renewed') tally.renewed++
    else if (outcome === 'reregistered') tally.registered++
    else if (outcome === 'ended') tally.ended.push(sessionId)
    else tally.conflicts.push(sessionId)
  })
  return tally
}
