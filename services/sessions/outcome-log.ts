/** Logs what an operator looks for: sessions at the limit, and emergency calls. */
import type { Observer } from './outcomes.ts'

/** Writes a line for each session that was refused, or let in past the limit or as an emergency. */
export const logOutcome: Observer = (outcome, log) => {
  if (outcome.what === 'rejected') {
    log.info(
      { violation: { ...particularsOf(outcome), observed: false } },
      outcome.barred ? 'session refused: the user is barred' : 'session refused: limit reached'
    )
  }
  if (outcome.what !== 'started' && outcome.what !== 'refreshed') return
  if (outcome.what === 'started' && outcome.observed) {
    log.warn(
      { violation: { ...particularsOf(outcome), observed: true } },
      'session admitted that would be refused: the policy only observes'
    )
  }
  if (outcome.emergency) {
    log.warn({ emergency: particularsOf(outcome) }, 'emergency session admitted')
  }
}

function particularsOf (outcome: {
  username: string
  sessionId: string
  count: number
  limit: number
}) {
  const { username, sessionId, count, limit } = outcome
  return { username, session_id: sessionId, count, limit }
}
