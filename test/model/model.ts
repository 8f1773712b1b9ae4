import type { Policy } from '../../schemas/policy.ts'
import type { Details } from '../../services/sessions/lease.ts'
import type { Command, Named } from './commands.ts'

/**
 * How long a lease that has ended by itself can be brought back as the call that it was, and how
 * long an id stays ended.
 */
const [GRACE_MS, ENDED_MS] = [60_000, 3_600_000]
/** How long an id stays ended that was not known to be up: as long as a lease of it may last. */
const UNKNOWN_ENDED_MS = 86_400_000
/** How long a node is remembered that is not heard of. */
const DAY_MS = 86_400_000

/** A call as the model knows it: up until `until`. */
export interface Call extends Named {
  node: string | null
  start: number
  /**
   * The very start by the store's clock, where that is finer than the model's; the driver fills it
   * in.
   */
  exactStart: number | undefined
  until: number
  details: Details
  attempt: number
  /** Ids of the calls that were ended to make room for it. */
  terminated: string[]
}

type Of<D extends Command['do']> = Extract<Command, { do: D }>

/**
 * What a store of sessions is to do, in the plainest way: lists, filters, and a clock that is moved
 * by hand.
 */
export class Model {
  now = 0
  policy: Policy = { enabled: true, max_sessions_per_user: 2, session_limit_action: 'reject' }
  #calls: Call[] = []
  #ended = new Map<string, { until: number; attempt: number }>()
  #own = new Map<string, number>()
  #temporary = new Map<string, { limit: number; until: number }>()
  #bars = new Map<string, number | null>()
  #nodes = new Map<string, { epoch: number; seen: number; ttlMs: number }>()

  /** The calls that are up, of one user or of all. */
  up (user?: string): Call[] {
    return this.#calls.filter(
      (call) => call.until > this.now && (user === undefined || call.user === user)
    )
  }

  limitOf (user: string) {
    const temporary = this.#temporary.get(user)
    if (temporary !== undefined && temporary.until > this.now) {
      return { ...temporary, source: 'temporary' }
    }
    const own = this.#own.get(user)
    return own !== undefined
      ? { limit: own, source: 'user', until: null }
      : { limit: this.policy.max_sessions_per_user, source: 'default', until: null }
  }

  /** Whether a user may have no new calls, and until when; null for no end. */
  barOf (user: string): { until: number | null } | undefined {
    const until = this.#bars.get(user)
    if (until === undefined || (until !== null && until <= this.now)) return undefined
    return { until }
  }

  countOf (user: string) {
    const [count, { limit }] = [this.up(user).length, this.limitOf(user)]
    return {
      username: user,
      count,
      limit,
      available: limit === 0 ? null : Math.max(0, limit - count),
      leases: count,
      external: 0
    }
  }

  nodes () {
    return [...this.#nodes]
      .filter(([, { seen }]) => seen + DAY_MS > this.now)
      .sort()
      .map(([node, { epoch, seen }]) => ({
        node,
        epoch,
        lastSeenMs: seen,
        sessions: this.up().filter((call) => call.node === node).length
      }))
  }

  acquire ({ user, id, attempt, ttlMs, node, details, dryRun }: Of<'acquire'>) {
    if (this.#hasEnded(id, attempt)) {
      if (!dryRun) this.#remindOf(id)
      return { outcome: 'ended' }
    }
    const [mine, { limit }] = [this.up(user), this.limitOf(user)]
    const until = this.now + ttlMs
    const held = this.up().find((call) => call.id === id)
    if (held !== undefined) {
      if (held.user !== user) return { outcome: 'conflict' }
      if (attempt < held.attempt) return { outcome: 'ended' }
      const terminated = attempt > held.attempt ? [] : held.terminated
      const isUrgent = details.emergency === true && held.details.emergency !== true
      const known = isUrgent ? { ...held.details, emergency: true } : held.details
      const lease = { ...held, until, attempt, terminated, details: known }
      if (!dryRun) Object.assign(held, { until, attempt, terminated, details: known })
      return {
        outcome: 'refreshed',
        lease,
        count: mine.length,
        limit,
        terminated,
        observed: false
      }
    }
    const last = this.#remembered(id)
    if (last?.user === user && attempt < last.attempt) return { outcome: 'ended' }
    const tooMany = limit === 0 ? 0 : Math.max(0, mine.length + 1 - limit)
    const action =
      this.policy.enabled && details.emergency !== true
        ? this.policy.session_limit_action
        : 'let in'
    const isBarred = this.barOf(user) !== undefined
    if (isBarred && ['reject', 'terminate_oldest'].includes(action)) {
      return { outcome: 'barred', count: mine.length, limit }
    }
    if (tooMany > 0 && action === 'reject') {
      return { outcome: 'limit_reached', count: mine.length, limit }
    }
    const ordinary = mine.filter((call) => call.details.emergency !== true).sort(byStart)
    const terminated = action === 'terminate_oldest' ? ordinary.slice(0, tooMany) : []
    const session: Call = {
      user,
      id,
      node: node ?? null,
      start: this.now,
      exactStart: undefined,
      until,
      details,
      attempt,
      terminated: terminated.map((call) => call.id)
    }
    if (!dryRun) {
      for (const call of terminated) this.#end(call)
      this.#put(session)
    }
    return {
      outcome: 'admitted',
      lease: { ...session },
      count: mine.length + 1 - terminated.length,
      limit,
      terminated: terminated.map((call) => call.id),
      observed: (tooMany > 0 || isBarred) && action === 'observe'
    }
  }

  renew ({ items, ttlMs }: Pick<Of<'renew'>, 'items' | 'ttlMs'>) {
    return items.map(({ user, id, node, attempt }) => {
      if (this.#hasEnded(id, attempt ?? 0)) {
        this.#remindOf(id)
        return { outcome: 'ended' }
      }
      const held = this.up().find((call) => call.id === id)
      if (held !== undefined && held.user !== user) return { outcome: 'conflict' }
      const last = this.#remembered(id)
      const known = last?.user === user ? last : undefined
      if (known !== undefined && (attempt ?? known.attempt) < known.attempt) {
        return { outcome: 'ended' }
      }
      const before = known ?? {
        user,
        id,
        node: null,
        start: this.now,
        exactStart: undefined,
        details: {},
        attempt: 0,
        terminated: []
      }
      const call = { ...before, node: node ?? before.node, until: this.now + ttlMs }
      if (attempt !== undefined && attempt > call.attempt) {
        Object.assign(call, { attempt, terminated: [] })
      }
      this.#put(call)
      return { outcome: held === undefined ? 'reregistered' : 'renewed', lease: { ...call } }
    })
  }

  release ({ id, user, attempt }: Of<'release'>) {
    const held = this.up().find((call) => call.id === id)
    if (held !== undefined && user !== undefined && held.user !== user) {
      return { outcome: 'conflict' }
    }
    const known = this.#remembered(id)
    const isIts = known !== undefined && (user ?? known.user) === known.user
    if (isIts && (attempt ?? known.attempt) < known.attempt) return { outcome: 'unknown' }
    if (known !== undefined) this.#end(known, attempt)
    else if (!this.#hasEnded(id, attempt ?? 0)) this.#remindOf(id, attempt)
    return { outcome: held === undefined ? 'unknown' : 'released' }
  }

  reconcile ({ node, epoch, ttlMs, items, asOfAgoMs }: Of<'reconcile'>) {
    const known = this.#nodes.get(node)
    if (known !== undefined && known.epoch > epoch && this.now - known.seen < known.ttlMs) {
      return { outcome: 'stale_epoch', epoch: known.epoch }
    }
    this.#nodes.set(node, { epoch, seen: this.now, ttlMs })
    const renewals = items.map((item) => ({ ...item, node, attempt: undefined }))
    const results = this.renew({ ttlMs, items: renewals })
    const gone = this.up().filter(
      (call) =>
        call.node === node &&
        (asOfAgoMs === null || call.start <= this.now - asOfAgoMs) &&
        !items.some(({ user, id }) => call.user === user && call.id === id)
    )
    for (const call of gone) call.until = this.now
    const those = (outcome: string) =>
      items.filter((_item, i) => results[i]?.outcome === outcome).map(({ id }) => id)
    return {
      outcome: 'reconciled',
      renewed: those('renewed').length,
      registered: those('reregistered').length,
      released: gone.length,
      ended: those('ended'),
      conflicts: those('conflict')
    }
  }

  terminate ({ user, includeEmergency }: Of<'terminate'>) {
    const isSpared = (call: Call) => call.details.emergency === true && !includeEmergency
    const calls = this.up(user)
    const [ended, spared] = [calls.filter((call) => !isSpared(call)), calls.filter(isSpared)]
    for (const call of ended) this.#end(call)
    const ids = (list: Call[]) => list.map((call) => call.id).sort()
    return { terminated: ids(ended), spared: ids(spared) }
  }

  setLimit ({ user, limit }: Of<'limit'>) {
    if (limit === null) return this.#own.delete(user)
    this.#own.set(user, limit)
    return undefined
  }

  setTemporary ({ user, limit, seconds }: Of<'temporary'>) {
    const until = this.now + seconds * 1000
    this.#temporary.set(user, { limit, until })
    return until
  }

  endTemporary ({ user }: Of<'end temporary'>) {
    const there = (this.#temporary.get(user)?.until ?? 0) > this.now
    this.#temporary.delete(user)
    return there
  }

  setBar ({ user, seconds }: Of<'bar'>) {
    this.#bars.set(user, seconds === null ? null : this.now + seconds * 1000)
    return true
  }

  endBar ({ user }: Of<'end bar'>) {
    const there = this.barOf(user) !== undefined
    this.#bars.delete(user)
    return there
  }

  /** The call of an id that is up, or was a short time ago. */
  #remembered (id: string): Call | undefined {
    return this.#calls.find((call) => call.id === id && call.until + GRACE_MS > this.now)
  }

  #hasEnded (id: string, attempt: number): boolean {
    const ended = this.#ended.get(id)
    return ended !== undefined && ended.until > this.now && attempt <= ended.attempt
  }

  #remindOf (id: string, attempt = 0): void {
    const before = this.#ended.get(id)
    const known = before !== undefined && before.until > this.now ? before : undefined
    this.#ended.set(id, {
      until: known ? Math.max(known.until, this.now + ENDED_MS) : this.now + UNKNOWN_ENDED_MS,
      attempt: Math.max(known?.attempt ?? 0, attempt)
    })
  }

  #put (call: Call): void {
    this.#ended.delete(call.id)
    this.#calls = [...this.#calls.filter(({ id }) => id !== call.id), call]
  }

  #end (call: Call, attempt = 0): void {
    this.#calls = this.#calls.filter(({ id }) => id !== call.id)
    this.#ended.set(call.id, {
      until:
        call.until > this.now
          ? Math.max(this.now + ENDED_MS, call.until)
          : this.now + UNKNOWN_ENDED_MS,
      attempt: Math.max(attempt, call.attempt)
    })
  }
}

function byStart (a: Call, b: Call): number {
  return (a.exactStart ?? a.start) - (b.exactStart ?? b.start) || (a.id < b.id ? -1 : 1)
}
