/** A switch's calls: sessions that begin, are renewed, reported and end, at replicas at random. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from './dice.ts'
import { LATE_MS, type Call } from './history.ts'
import type { Replica } from './replicas.ts'
import { Requests } from './requests.ts'

export const USERS = Array.from({ length: 12 }, (_, i) => `user-${i}`)
export const LIMIT = 3
const NODES = ['node-a', 'node-b', 'node-c']
const [TTL_MS, SHORT_TTL_MS] = [90_000, 10_000]
const TICK_MS = 20
/** The most requests under way at once. */
const MOST_IN_FLIGHT = 120
/** After how long a user whose sessions were all ended calls again: replicas' clocks may differ. */
const REST_MS = 200
/** How soon the lease of a call has to end for the call to count as over. */
const LAPSES_MS = 3000
/** How often an end is asked for until it is acknowledged. */
const MOST_TRIES = 30

/** A call, and what its caller does about it. */
export interface OwnCall extends Call {
  /**
   * `up` as far as the caller knows; `doubt`: it has to be released, because an answer is missing;
   * `ended`: its end was acknowledged; `over`: it never was up, or its lease has ended.
   */
  state: 'asked' | 'up' | 'doubt' | 'ended' | 'over'
  /** Neither renewed nor released: its lease ends by itself. */
  isLeft: boolean
  /** How many requests about it are under way. */
  busy: number
}

export class Callers {
  readonly requests = new Requests()
  readonly calls = new Map<string, OwnCall>()
  #replicas: Replica[]
  #dice: Dice
  #tag: string
  #next = 0
  #inFlight = 0
  #running: Promise<void> | undefined
  #isStopping = false
  #restUntilMs = new Map<string, number>()

  constructor (replicas: Replica[], dice: Dice, tag: string) {
    this.#replicas = replicas
    this.#dice = dice
    this.#tag = tag
  }

  /** The calls in some state that nothing is under way for. */
  idle (state: OwnCall['state']): OwnCall[] {
    return [...this.calls.values()].filter((call) => call.state === state && call.busy === 0)
  }

  start (): void {
    this.#isStopping = false
    this.#running = this.#run()
  }

  /** Asks for nothing more, and waits for what is under way. */
  async stop (): Promise<void> {
    this.#isStopping = true
    await this.#running
    while (this.#inFlight > 0) await sleep(TICK_MS)
  }

  /** Ends every call of which an answer is missing. */
  async settle (): Promise<void> {
    for (const call of this.idle('doubt')) {
      for (let i = 0; call.state === 'doubt' && i < MOST_TRIES; i++) await this.release(call)
    }
  }

  /** Forgets calls that were over before then. */
  forget (isOver: (call: OwnCall) => boolean): void {
    for (const [id, call] of this.calls) if (isOver(call)) this.calls.delete(id)
  }

  async acquire (username: string, isLeft = false): Promise<OwnCall> {
    const call: OwnCall = {
      // No part of it reads as a port, which the network would change.
      id: `${this.#tag}-n${this.#next++}`,
      username,
      node: isLeft ? undefined : this.#dice.of([undefined, ...NODES]),
      ttlMs: isLeft ? SHORT_TTL_MS : TTL_MS,
      operations: [],
      state: 'asked',
      isLeft,
      busy: 0
    }
    this.calls.set(call.id, call)
    const { outcome } = await this.#about([call], () =>
      this.requests.acquire(this.#anyReplica(), call))
    if (outcome === 'ok') call.state = 'up'
    else call.state = outcome === 'unknown' ? 'doubt' : 'over'
    return call
  }

  async renew (call: OwnCall): Promise<void> {
    const { outcome } = await this.#about([call], () =>
      this.requests.renew(this.#anyReplica(), call))
    if ((outcome === 'ended' || outcome === 'conflict') && call.state === 'up') call.state = 'doubt'
  }

  /** Asks once more for the slot that a call holds, or held. */
  async acquireAgain (call: OwnCall) {
    return await this.#about([call], () => this.requests.acquire(this.#anyReplica(), call))
  }

  async release (call: OwnCall) {
    const one = await this.#about([call], () => this.requests.release(this.#anyReplica(), call))
    if (one.outcome === 'ok') call.state = 'ended'
    else if (one.outcome !== 'failed') call.state = 'doubt'
    return one
  }

  async #terminate (username: string): Promise<void> {
    const own = [...this.calls.values()].filter((call) => call.username === username)
    if (own.some(({ busy }) => busy > 0)) return
    const all = own.filter(({ state }) => state === 'up')
    // One whose lease has just ended is unknown, so that it is not ended.
    const lapsing = all.filter((call) => this.#lapses(call))
    const up = all.filter((call) => !lapsing.includes(call))
    this.#restUntilMs.set(username, Infinity)
    const outcome = await this.#about(all, () =>
      this.requests.terminate(this.#anyReplica(), username, up, lapsing))
    const restMs = outcome === 'unknown' ? LATE_MS : REST_MS
    this.#restUntilMs.set(username, performance.now() + restMs)
    if (outcome === 'failed') return
    for (const call of up) call.state = outcome === 'ok' ? 'ended' : 'doubt'
  }

  /** Whether the lease of a call ends, or has ended, because nobody renews it. */
  #lapses (call: OwnCall): boolean {
    const endsMs = (call.operations[0]?.invokedMs ?? 0) + call.ttlMs
    if (!call.isLeft || performance.now() < endsMs - LAPSES_MS) return false
    call.state = 'over'
    return true
  }

  async #report (node: string): Promise<void> {
    const up = [...this.calls.values()].filter((call) => call.state === 'up' && call.node === node)
    // One that is renewed just now is up: a list that lacks it would take its slot.
    if (up.some(({ busy }) => busy > 0)) return
    await this.#about(up, () => this.requests.report(this.#anyReplica(), node, up, TTL_MS))
  }

  async #about<T>(calls: OwnCall[], request: () => Promise<T>): Promise<T> {
    this.#inFlight++
    for (const call of calls) call.busy++
    try {
      return await request()
    } finally {
      for (const call of calls) call.busy--
      this.#inFlight--
    }
  }

  #anyReplica (): Replica {
    return this.#dice.of(this.#replicas)
  }

  async #run (): Promise<void> {
    while (!this.#isStopping) {
      if (this.#inFlight < MOST_IN_FLIGHT) void this.#step()
      await sleep(TICK_MS)
    }
  }

  async #step (): Promise<void> {
    const dice = this.#dice
    const [doubt] = this.idle('doubt')
    if (doubt !== undefined && dice.happens(0.5)) {
      await this.release(doubt)
      return
    }
    const up = this.idle('up').filter(({ isLeft }) => !isLeft)
    const choice = dice.between(1, 100)
    if (choice <= 34 || up.length === 0) {
      const username = dice.of(USERS)
      const isResting = performance.now() < (this.#restUntilMs.get(username) ?? 0)
      if (!isResting) await this.acquire(username, dice.happens(0.1))
    } else if (choice <= 64) await this.renew(dice.of(up))
    else if (choice <= 87) await this.release(dice.of(up))
    else if (choice <= 93) await this.#comeLate()
    else if (choice <= 98) await this.#report(dice.of(NODES))
    else await this.#terminate(dice.of(USERS))
  }

  /** A renewal or an acquire that comes after the end. */
  async #comeLate (): Promise<void> {
    const ended = this.idle('ended').slice(-200)
    if (ended.length === 0) return
    const call = this.#dice.of(ended)
    if (this.#dice.happens(0.5)) await this.renew(call)
    else await this.acquireAgain(call)
  }
}
