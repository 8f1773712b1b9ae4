/**
 * The time by the clock of Redis, which all replicas share. Between two answers, and while Redis is
 * away, it is carried on by the steady clock of this process, so that the machine's own clock
 * decides nothing.
 */
import { BoundedMap } from '../util/bounded-map.ts'

/** A difference that no slow answer explains and that is larger than this is a step, in ms. */
const TOLERANCE_MS = 2_000
/** The most steps that are remembered. */
const MOST_STEPS = 16
/** The most keys whose servers' clocks are followed. */
const MOST_KEYS = 1_000

/** What is known of the clock of the server that holds a key. */
interface Reading {
  /** How far it is ahead of the steady clock, at least, in milliseconds. */
  aheadMs: number
  /** The generation of data that was begun before the clock was set; '' where it was not. */
  outdated: string
  /** By how much it was set, in milliseconds, while that generation has not ended. */
  steppedByMs: number
  /** The generation of data when it was last heard. */
  generation: string
}

/** An answer of Redis that says what time it is. */
export interface TimeAnswer {
  /** When it was asked, by the steady clock. */
  sentMs: number
  /** What time it was there, in whole milliseconds. */
  redisMs: number
  /** The generation of data that it holds. */
  generation: string
  /** Whether this very question has begun it. */
  isBegun: boolean
}

/** A step of the reference. */
interface Step {
  /** When it was noticed, by the clock as it was before. */
  fromMs: number
  byMs: number
}

/** Told of a step, in milliseconds; back is negative. */
export type OnStep = (byMs: number) => void

/** Follows the clocks of the masters. The one that was heard first is the reference. */
export class RedisClock {
  /** Told of each step of any server's clock. */
  onStep: OnStep = () => {}
  /** Told of each step once, with the key, on the replica that has ended the data of before. */
  onStepEnded: (byMs: number, key: string) => void = () => {}
  #steady: () => number
  #readings = new BoundedMap<string, Reading>(MOST_KEYS)
  #reference: string | undefined
  #aheadMs: number
  #furthestMs: number | undefined
  #unsteppedMs: number | undefined
  /** The oldest first. */
  #steps: Step[] = []

  /**
   * @param steady - milliseconds on a clock that only goes forward
   * @param guessMs - how far Redis may be ahead of it, until its time is known
   */
  constructor (
    steady: () => number = () => performance.now(),
    guessMs: number = performance.timeOrigin
  ) {
    this.#steady = steady
    this.#aheadMs = guessMs
  }

  /** The time, in whole milliseconds since the epoch. */
  nowMs = (): number => Math.floor(this.#steady() + this.#aheadMs)

  /**
   * The same, but for what the clock of Redis was set by since it was heard first: how long
   * something lasts is measured by it.
   */
  unsteppedMs = (): number => Math.floor(this.#steady() + (this.#unsteppedMs ?? this.#aheadMs))

  /** From now on `unsteppedMs` goes on without a step, even where Redis was not heard yet. */
  settle (): void {
    this.#unsteppedMs ??= this.#aheadMs
  }

  /** How far `nowMs` is ahead of `unsteppedMs` by now, in milliseconds; 0 without a step. */
  get steppedByMs (): number {
    const byMs = this.nowMs() - this.unsteppedMs()
    return Math.abs(byMs) > TOLERANCE_MS ? byMs : 0
  }

  /**
   * When something began, by `unsteppedMs`. Where it may have been before a step, or after it, it
   * was after it.
   * @param redisMs - when that was by the clock of Redis as it was then
   * @param saidMs - when Redis has said so, by its clock: if it was set, nobody may know it yet
   */
  unstepped (redisMs: number, saidMs: number): number {
    const isNoticed = Math.abs(saidMs - this.nowMs()) <= TOLERANCE_MS
    if (!isNoticed) return this.unsteppedMs() - Math.max(0, saidMs - redisMs)
    let [aheadMs, untilMs] = [this.steppedByMs, saidMs]
    for (let i = this.#steps.length - 1; i >= 0; i--) {
      const { fromMs, byMs } = this.#steps[i] as Step
      const isAfter = redisMs >= fromMs + byMs - TOLERANCE_MS
      if (isAfter && redisMs <= untilMs + TOLERANCE_MS) break
      aheadMs -= byMs
      untilMs = fromMs
    }
    return redisMs - aheadMs
  }

  /** By the steady clock, for `sentMs`. */
  steadyMs (): number {
    return this.#steady()
  }

  /**
   * Until when Redis may carry out a write that is waited for so long; '' while its time is not
   * known. It errs on the early side, by how long the quickest answer to a probe was under way: an
   * answer to a later write would be late itself. In a Cluster the clock that is furthest ahead
   * counts.
   */
  deadline (waitMs: number): number | '' {
    return this.#furthestMs === undefined
      ? ''
      : Math.floor(this.#steady() + this.#furthestMs + waitMs)
  }

  /** The generation of data that has to end, because it began before the clock was set. */
  outdated (key: string): string {
    return this.#readings.get(key)?.outdated ?? ''
  }

  /** Takes an answer of the server that holds a key. */
  heard (key: string, answer: TimeAnswer): void {
    const known = this.#readings.get(key)
    if (known === undefined) {
      const aheadMs = answer.redisMs - this.#steady()
      const { generation } = answer
      this.#readings.put(key, { aheadMs, outdated: '', steppedByMs: 0, generation })
    } else {
      this.#takeInto(key, known, answer)
    }
    this.#furthestMs = Math.max(...[...this.#readings.values()].map(({ aheadMs }) => aheadMs))
    const isFirst = this.#reference === undefined
    this.#reference ??= key
    this.#refer(this.#readings.get(this.#reference)?.aheadMs ?? this.#aheadMs, isFirst)
    this.settle()
  }

  #refer (aheadMs: number, isFirst: boolean): void {
    const [fromMs, byMs] = [this.nowMs(), Math.round(aheadMs - this.#aheadMs)]
    this.#aheadMs = aheadMs
    if (isFirst || Math.abs(byMs) <= TOLERANCE_MS) return
    this.#steps.push({ fromMs, byMs })
    if (this.#steps.length > MOST_STEPS) this.#steps.shift()
  }

  /**
   * A write came late by so much, though its answer came in time: a clock was set forward, and may
   * be back before a probe hears of it. All data of before has to end.
   * @param byMs - in milliseconds; 0 for no such write
   */
  heardLate (byMs: number): void {
    if (byMs !== 0) this.#outdateAll(byMs)
  }

  /**
   * An answer has named the time. If it is not that of any server, a clock was set, and may be as
   * it was again before a probe hears of it.
   * @param saidMs - by the clock of Redis
   * @param agoMs - how long ago it was asked, at the most, in milliseconds
   */
  heardTime (saidMs: number, agoMs: number): void {
    const byMs = saidMs - this.nowMs()
    if (Math.abs(byMs) <= TOLERANCE_MS || this.#reference === undefined) return
    const steadyMs = this.#steady()
    for (const [, { aheadMs }] of this.#readings) {
      const offMs = saidMs - steadyMs - aheadMs
      if (offMs >= -agoMs - TOLERANCE_MS && offMs <= TOLERANCE_MS) return
    }
    this.#outdateAll(byMs)
  }

  #outdateAll (byMs: number): void {
    let isNew = false
    for (const [, known] of this.#readings) {
      if (known.outdated !== '') continue
      isNew = true
      known.outdated = known.generation
      known.steppedByMs = 0
    }
    if (isNew) this.onStep(byMs)
  }

  #takeInto (key: string, known: Reading, answer: TimeAnswer): void {
    const { sentMs, redisMs, generation, isBegun } = answer
    const [leastMs, mostMs] = [redisMs - this.#steady(), redisMs + 1 - sentMs]
    const before = known.aheadMs
    known.aheadMs = Math.min(Math.max(before, leastMs), mostMs)
    known.generation = generation
    const isStep = before < leastMs - TOLERANCE_MS || before > mostMs + TOLERANCE_MS
    if (isStep) known.steppedByMs = Math.round(known.aheadMs - before)
    const hasEnded = known.outdated !== '' && known.outdated !== generation
    if (hasEnded) {
      if (isBegun) this.onStepEnded(known.steppedByMs, key)
      known.outdated = ''
    }
    // What this very question has begun knows the step already.
    if (!isStep || (hasEnded && isBegun)) return
    known.outdated = generation
    this.onStep(known.steppedByMs)
  }
}
