/** The requests about sessions, each noted in the histories of those that it is about. */
import type { Reply } from '../faults/http-client.ts'
import type { Call, Kind, Operation, Outcome } from './history.ts'
import type { Replica } from './replicas.ts'

/** What a refusal means for the session. */
const CODES: Record<string, Outcome> = {
  session_limit_reached: 'refused',
  session_id_conflict: 'conflict',
  session_ended: 'ended'
}

/** What came of a request, as its answer says; undefined for an answer that nobody was promised. */
function outcomeOf ({ status, body, failure }: Reply): Outcome | undefined {
  if (status === 0) return /ECONNREFUSED/.test(failure ?? '') ? 'failed' : 'unknown'
  if (status === 200 || status === 201) return 'ok'
  if (status === 503 && body?.code === 'store_unavailable') {
    return body.outcome === 'unknown' ? 'unknown' : 'failed'
  }
  return CODES[body?.code]
}

/** Sends requests, and notes what was asked and what came of it. */
export class Requests {
  /** Answers that nobody was promised. */
  readonly odd: string[] = []
  /** How many operations had each outcome. */
  readonly tally = new Map<string, number>()

  async acquire (replica: Replica, call: Call): Promise<Operation> {
    const { id, username, node, ttlMs } = call
    return await this.#one(replica, 'acquire', call, 'POST', '/api/sessions', {
      username,
      session_id: id,
      ttl: ttlMs / 1000,
      ...(node !== undefined && { node })
    })
  }

  async renew (replica: Replica, call: Call): Promise<Operation> {
    const { id, username, node, ttlMs } = call
    return await this.#one(replica, 'renew', call, 'POST', `/api/sessions/${id}/renew`, {
      username,
      ttl: ttlMs / 1000,
      ...(node !== undefined && { node })
    })
  }

  /** By its id alone. */
  async release (replica: Replica, call: Call): Promise<Operation> {
    return await this.#one(replica, 'release', call, 'DELETE', `/api/sessions/${call.id}`)
  }

  /**
   * The end of all sessions of a user.
   * @param calls - those that are up
   * @param lapsing - those of which nobody can say whether they are up
   */
  async terminate (
    replica: Replica,
    username: string,
    calls: Call[],
    lapsing: Call[]
  ): Promise<Outcome> {
    const begun = calls.map((call) => this.#begin(replica, 'terminate', call))
    const unsure = lapsing.map((call) => this.#begin(replica, 'terminate', call))
    const url = `/api/sessions/users/${username}/sessions`
    const reply = await replica.ask('DELETE', url, { reason: 'random' })
    const outcome = this.#take(reply, 'terminate')
    for (const one of begun) {
      this.#end(one, reply, outcome)
      one.isNamed = reply.body?.terminated?.includes(one.id) === true
    }
    for (const one of unsure) this.#end(one, reply, 'unknown')
    return outcome
  }

  /** The report of a node that these calls are up on it. */
  async report (replica: Replica, node: string, calls: Call[], ttlMs: number): Promise<void> {
    const begun = calls.map((call) => this.#begin(replica, 'report', call, ttlMs))
    const sessions = calls.map(({ id, username }) => ({ session_id: id, username }))
    const body = { epoch: 1, ttl: ttlMs / 1000, sessions }
    const reply = await replica.ask('PUT', `/api/sessions/nodes/${node}`, body)
    const outcome = this.#take(reply, 'report')
    for (const one of begun) {
      const isEnded = outcome === 'ok' && reply.body.ended.includes(one.id)
      const isOthers = outcome === 'ok' && reply.body.conflicts.includes(one.id)
      this.#end(one, reply, isEnded ? 'ended' : isOthers ? 'conflict' : outcome)
    }
  }

  async #one (
    replica: Replica,
    kind: Kind,
    call: Call,
    method: string,
    url: string,
    body?: object
  ): Promise<Operation> {
    const begun = this.#begin(replica, kind, call)
    const reply = await replica.ask(method, url, body)
    this.#end(begun, reply, this.#take(reply, kind))
    return begun
  }

  #take (reply: Reply, kind: Kind): Outcome {
    const outcome = outcomeOf(reply)
    if (outcome === undefined) {
      this.odd.push(`${kind}: ${reply.status} ${JSON.stringify(reply.body)}`)
    }
    return outcome ?? 'unknown'
  }

  #begin (replica: Replica, kind: Kind, call: Call, ttlMs = call.ttlMs): Operation {
    const begun: Operation = {
      kind,
      id: call.id,
      process: replica.process,
      invokedMs: performance.now(),
      completedMs: Infinity,
      outcome: 'unknown',
      degraded: false,
      ttlMs,
      isNamed: true,
      note: ''
    }
    call.operations.push(begun)
    return begun
  }

  #end (begun: Operation, { status, body, failure }: Reply, outcome: Outcome): void {
    begun.completedMs = performance.now()
    begun.outcome = outcome
    begun.degraded = body?.degraded === true
    const { code, count, released, reregistered } = body ?? {}
    begun.note = `${status} ${JSON.stringify({ code, count, released, reregistered, failure })}`
    const what = `${begun.kind} ${outcome}${begun.degraded ? ' degraded' : ''}`
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1)
  }
}
