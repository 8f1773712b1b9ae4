/** Logs what an operator looks for: sessions at the limit, and emergency calls. */
import type { Observer } from './outcomes.ts'

/** Writes a line for each session that was refused, or let in past the limit or as an emergency. */
export const logOutcome: Observer = (outcome, log) => {
  if (outcome.what === 'rejected') {
    log.info(
      { violation: violationOf(outcome, false) },
      outcome.barred ? 'session refused: the user is barred' : 'session refused: limit reached'
    )
  }
  if (outcome.what !== 'started' && outcome.what !== 'refreshed') return
  if (outcome.what === 'started' && outcome.observed) {
    log.warn(
      { violation: violationOf(outcome, true) },
      'session admitted that would be refused: the policy only observes'
    )
  }
  if (outcome.emergency) {
    log.warn({ emergency: particularsOf(outcome) }, 'emergency session admitted')
  }
}

interface Particulars {
  username: string
  sessionId: string
  count: number
  limit: number
}

/** `degraded`: it was decided without Redis, by what this replica knows. */
function violationOf (outcome: Particulars & { degraded: boolean }, observed: boolean) {
  return { ...particularsOf(outcome), degraded: outcome.degraded, observed }
}

function particularsOf ({ username, sessionId, count, limit }: Particulars) {
  return { username, session_id: sessionId, count, limit }
}
