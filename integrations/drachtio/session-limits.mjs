/**
 * What a Node program that handles calls asks of Voice Ferry session limits: admission, release and
 * reports, with a deadline for each question and a breaker. It needs nothing but Node 20.
 */

/** So many failures in a row open the breaker. */
const FAILURES = 3
/** What has ended and is still to be told. What does not fit is freed by the next report. */
const MAX_ENDED = 50_000

/**
 * What to do with a call.
 * @typedef {{ go: true } | { go: false, status: number, reason: string }} Verdict
 */

export class SessionLimits {
  /** The calls that are up, by session id and attempt: what a report tells. */
  #calls = new Map()
  #ended = []
  #failures = 0
  #epoch = Math.floor(Date.now() / 1000)
  #timers
  #settings

  /**
   * @param {object} settings
   * @param {string} settings.url such as `http://127.0.0.1:3001`
   * @param {string} settings.key an API key or a token with the role `switch`
   * @param {string} settings.node the name of this program, unique among all
   * @param {'pass' | 'refuse'} [settings.away] what to do with calls while the service is away
   * @param {number} [settings.timeoutMs] how long a call waits for an answer
   * @param {number} [settings.reportMs] between two reports
   * @param {number} [settings.ttlSeconds] how long a lease outlives the last report
   * @param {(sessionId: string) => void} settings.hangUp ends a call that the service has ended
   */
  constructor (settings) {
    const defaults = { away: 'pass', timeoutMs: 300, reportMs: 30_000, ttlSeconds: 90 }
    this.#settings = { ...defaults, ...settings }
    this.#timers = [
      setInterval(async () => await this.#tell(), 250),
      setInterval(async () => await this.report(), this.#settings.reportMs)
    ]
    for (const timer of this.#timers) timer.unref()
  }

  /**
   * Asks before a call is routed. A call that goes on is reported until `end` is called for it.
   * @param {{ session_id: string, attempt: number, username: string, emergency?: boolean,
   * from?: string, to?: string }} call
   * @returns {Promise<Verdict>} never rejects
   */
  async admit (call) {
    const { node, ttlSeconds: ttl } = this.#settings
    const asked = this.#failures < FAILURES
    const answer = asked ? await this.#ask('/api/sessions', { ...call, node, ttl }) : undefined
    const verdict = this.#judge(answer, call.emergency === true)
    if (verdict.go) this.#calls.set(keyOf(call), call)
    else if (answer === undefined && asked) this.#ended.push(call) // the answer may have been lost
    for (const id of answer?.body.terminated ?? []) this.#settings.hangUp(id)
    return verdict
  }

  /** Gives the place back: at BYE, CANCEL and every final answer from 300 up. */
  end (call) {
    this.#calls.delete(keyOf(call))
    this.#ended.push(call)
    void this.#tell()
  }

  /** Tells the service all calls that are up, and ends those that it has ended. */
  async report () {
    const { node, ttlSeconds: ttl } = this.#settings
    const sessions = [...this.#calls.values()]
    const answer = await this.#ask(`/api/sessions/nodes/${encodeURIComponent(node)}`, {
      epoch: this.#epoch,
      as_of: new Date().toISOString(),
      total: sessions.length,
      sessions,
      ttl
    }, 5000)
    for (const id of answer?.body.ended ?? []) this.#settings.hangUp(id)
  }

  /** Stops reporting, and tells what has ended so far. */
  async close () {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#tell()
  }

  /** @returns {Verdict} */
  #judge (answer, emergency) {
    if (emergency || answer?.status === 200 || answer?.status === 201) return { go: true }
    const { status = 503, body = {} } = answer ?? {}
    if (status === 409 && body.code === 'session_id_conflict') return refuse(403, 'Call-ID In Use')
    if (status === 409) return refuse(body.sip?.status ?? 486, body.sip?.reason ?? 'Busy Here')
    if (status === 410) return refuse(487, 'Request Terminated')
    if ([400, 413, 415].includes(status)) return refuse(400, 'Bad Request')
    return this.#settings.away === 'pass' ? { go: true } : refuse(503, 'Service Unavailable')
  }

  /** Tells what has ended, in one request; what was not taken is told again. */
  async #tell () {
    const ended = this.#ended.splice(0, 1000)
    if (ended.length === 0 && this.#failures < FAILURES) return
    const sessions = ended.map(({ session_id: id, attempt }) => ({ session_id: id, attempt }))
    const { node } = this.#settings
    // An empty list while the breaker is open asks whether the service is back.
    const answer = await this.#ask('/api/sessions/release', { sessions, node })
    const taken = answer !== undefined && answer.status < 500 && answer.status !== 429
    if (!taken) this.#ended = [...ended, ...this.#ended].slice(0, MAX_ENDED)
  }

  async #ask (path, body, timeoutMs = this.#settings.timeoutMs) {
    try {
      const response = await fetch(this.#settings.url + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${this.#settings.key}`,
          'content-type': 'application/json'
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs)
      })
      const answer = { status: response.status, body: await response.json() }
      this.#failures = 0
      return answer
    } catch {
      this.#failures++
      return undefined
    }
  }
}

function keyOf ({ session_id: id, attempt }) {
  return `${attempt}:${id}`
}

/** @returns {Verdict} */
function refuse (status, reason) {
  return { go: false, status, reason }
}
