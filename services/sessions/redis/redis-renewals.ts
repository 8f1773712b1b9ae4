/**
 * Renewals on Redis, one or thousands: many sessions a script call, and a few calls under way at a
 * time.
 */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
import type { RenewRequest, RenewResult } from '../session-store.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from '../timing.ts'
import { encodeRest, leaseFrom } from './lease-record.ts'
import type { PerUser } from './per-user.ts'

/**
 * The most sessions that one script call renews: Redis serves nobody else for about a millisecond.
 */
const MOST_PER_CALL = 250
/** The most characters of their ids and names: long ones take as much longer. */
const MOST_CHARACTERS = 32 * 1024
/**
 * How many calls are under way at once: Redis has the next one at hand while this process reads the
 * last reply.
 */
const CALLS_AT_ONCE = 3
const NO_DETAILS = {}
/** The character code of the digit 0. */
const DIGIT_ZERO = 48

/**
 * What became of the sessions that a node reported, by their places, and between when and when
 * their leases end.
 */
export interface NodeRenewals {
  outcomes: Array<RenewResult['outcome']>
  earliestEndMs: number
  latestEndMs: number
}

/** What the script answers: the end of the leases, a digit for each session, and records. */
type RenewReply = [expiresMs: number, digits: string, ...records: string[]]

/** Sessions of one call: those from `from` up to `to`. */
interface Batch {
  from: number
  to: number
  node: string
}

/** Renews leases. */
export class RedisRenewals {
  #executor: RedisExecutor
  #keys: RedisKeys

  constructor (executor: RedisExecutor, keys: RedisKeys) {
    this.#executor = executor
    this.#keys = keys
  }

  /** In a cluster all requests are about one user. */
  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const results: RenewResult[] = []
    await forEachLimit(batches(requests), CALLS_AT_ONCE, async (batch) => {
      const [expiresMs, digits, ...records] = await this.#ask(requests, batch, ttlMs, true)
      for (let i = batch.from; i < batch.to; i++) {
        const { sessionId } = requests[i] as RenewRequest
        const [outcome, record = ''] = [outcomeAt(digits, i - batch.from), records[i - batch.from]]
        results[i] =
          outcome === 'renewed' || outcome === 'reregistered'
            ? { outcome, expiresMs, lease: () => leaseFrom(sessionId, record, expiresMs) }
            : { outcome }
      }
    })
    return results
  }

  /** The same for what a node reports, where nobody asks for sessions that are known. */
  async renewOnNode (
    node: string,
    requests: RenewRequest[],
    ttlMs: number,
    perUser: Pick<PerUser, 'knows' | 'learn'>
  ): Promise<NodeRenewals> {
    const outcomes: NodeRenewals['outcomes'] = []
    let [earliestEndMs, latestEndMs] = [Infinity, -Infinity]
    await forEachLimit(batches(requests, node), CALLS_AT_ONCE, async (batch) => {
      const unknown: number[] = []
      for (let i = batch.from; i < batch.to; i++) {
        if (!perUser.knows(requests[i] as RenewRequest)) unknown.push(i)
      }
      const asked = this.#ask(requests, batch, ttlMs, unknown.length > 0)
      const [expiresMs, digits, ...records] = await asked
      for (let i = batch.from; i < batch.to; i++) outcomes[i] = outcomeAt(digits, i - batch.from)
      for (const i of unknown) {
        const [{ sessionId }, record = ''] = [requests[i] as RenewRequest, records[i - batch.from]]
        if (record !== '') perUser.learn(leaseFrom(sessionId, record, expiresMs))
      }
      earliestEndMs = Math.min(earliestEndMs, expiresMs)
      latestEndMs = Math.max(latestEndMs, expiresMs)
    })
    return { outcomes, earliestEndMs, latestEndMs }
  }

  async #ask (
    requests: RenewRequest[],
    { from, to, node }: Batch,
    ttlMs: number,
    records: boolean
  ) {
    const { username = '', boundTo = '' } = requests[from] ?? {}
    const { each, rests } = restsOf(requests, from, to)
    const args: Array<string | number> = [
      ttlMs,
      RECORD_GRACE_MS,
      ENDED_MEMORY_MS,
      this.#keys.leasePrefix(username),
      ...this.#keys.aroundUser('user-leases'),
      this.#keys.nodeLeasesPrefix,
      node,
      records ? '1' : '',
      each,
      boundTo,
      this.#executor.deadline()
    ]
    for (let i = from; i < to; i++) {
      const { sessionId, username, attempt = '' } = requests[i] as RenewRequest
      args.push(sessionId, username)
      if (each > 2) args.push(rests[i - from] ?? '')
      if (each > 3) args.push(attempt)
    }
    const keys = [this.#keys.user('user-leases', username)]
    // Where a slot may be half moved, Redis has to know all that a call is about to say so.
    if (this.#keys.cluster) {
      for (let i = from; i < to; i++) {
        keys.push(this.#keys.lease(username, requests[i]?.sessionId ?? ''))
      }
    }
    const { clock } = this.#executor
    const sentMs = clock.steadyMs()
    const reply = (await this.#executor.run(this.#executor.scripts.renew(keys, args))) as RenewReply
    if (reply[0] > 0) clock.heardTime(reply[0] - ttlMs, clock.steadyMs() - sentMs)
    return reply
  }
}

/** What the records say behind the node, and how many arguments a session takes. */
function restsOf (requests: RenewRequest[], from: number, to: number) {
  const rests = new Array<string>(to - from)
  let each = 2
  for (let i = from; i < to; i++) {
    const { details = NO_DETAILS, attempt } = requests[i] as RenewRequest
    const text = encodeRest(details, attempt ?? 0)
    if (attempt !== undefined) each = 4
    else if (text !== '') each = Math.max(each, 3)
    rests[i - from] = text
  }
  return { each, rests }
}

/**
 * Requests in their order, split where a call would be too long, where the node changes, and where
 * an id comes again.
 */
function * batches (requests: RenewRequest[], sameNode?: string): Generator<Batch> {
  let [from, node, characters] = [0, sameNode ?? requests[0]?.node ?? '', 0]
  const ids = new Set<string>()
  for (const [i, request] of requests.entries()) {
    const itsNode = sameNode ?? request.node ?? ''
    const isFull = i - from === MOST_PER_CALL || characters > MOST_CHARACTERS
    if (isFull || itsNode !== node || ids.has(request.sessionId)) {
      yield { from, to: i, node }
      ids.clear()
      ;[from, node, characters] = [i, itsNode, 0]
    }
    ids.add(request.sessionId)
    characters += request.sessionId.length + request.username.length
  }
  if (from < requests.length) yield { from, to: requests.length, node }
}

function outcomeAt (digits: string, i: number): RenewResult['outcome'] {
  return outcomeOf(digits.charCodeAt(i) - DIGIT_ZERO) as RenewResult['outcome']
}
