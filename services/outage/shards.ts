/**
 * The parts of Redis that can be out by themselves. One server is one part. In a Cluster each
 * master is one, and a slot that is not served while its master is well is another, so that an
 * outage is as large as what is out.
 */
import { Refusals } from '../health/refusals.ts'
import type { RedisKeys } from '../redis/keys.ts'
import type { Reach } from '../redis/reach.ts'
import { isRefusal } from '../redis/replies.ts'
import type { SlotOwners } from '../redis/slots.ts'
import { repeat, type Repeated } from '../util/repeat.ts'
import { isAboutSlot, isLate } from './failures.ts'
import { PROBE_INTERVAL_MS } from './prober.ts'
import { ShardMap } from './shard-map.ts'
import { Shard, type Part, type ProbeKey, type ShardEvents } from './shard.ts'
import { isUnavailable } from './unavailable.ts'

/** The most slots that one round of probes asks whether they are served again. */
const MOST_PROBED = 200

export interface ShardsOptions extends Pick<ShardEvents, 'probe' | 'onKnown'> {
  keys: RedisKeys
  /** The owners of the slots; undefined where there are none. */
  owners: SlotOwners | undefined
  /** Tells a part what it missed; one that has lost its data, or may have, everything. */
  recover: (part: Part, lostItsData: boolean, probes: ProbeKey[]) => Promise<void>
  /** Tells it what was decided meanwhile. */
  settle: (part: Part) => Promise<void>
  /** Told when a part is out or back. */
  onChange: (shard: Shard, cause: unknown) => void
}

/** Knows which part a key lies in, and which parts are out. */
export class Shards implements Reach {
  /** Commands about users that Redis refused a short time ago. */
  readonly refusals = new Refusals()
  #options: ShardsOptions
  #map: ShardMap
  #probing: Repeated | undefined
  #isStarted = false
  #nextUnserved = 0

  constructor (options: ShardsOptions) {
    this.#options = options
    this.#map = new ShardMap({
      keys: options.keys,
      owners: options.owners,
      create: (like) => this.#create(like),
      onAdded: ({ prober }) => {
        if (this.#isStarted) void prober.start()
      },
      onRemoved: ({ prober }) => prober.stop()
    })
  }

  /** The part that a user lies in. */
  of (username: string): Shard {
    return this.#options.owners === undefined ? this.#map.at(0) : this.#at(this.#keyOf(username))
  }

  /** Whether there is one part only, as on one server. */
  get areOne (): boolean {
    return this.#options.owners === undefined
  }

  /** Whether some part is out. */
  get someOpen (): boolean {
    return [...this.#map.all].some(({ breaker }) => breaker.open)
  }

  /** All parts as one, for what is told while none is out. */
  get whole (): Part {
    return {
      holds: () => true,
      isOut: (key) => this.#at(key).breaker.open,
      failed: (key, error) => this.#failed(key, error),
      serves: true
    }
  }

  /** Whether every part is out. */
  get allOpen (): boolean {
    return [...this.#map.all].every(({ breaker }) => breaker.open)
  }

  /**
   * How long the slowest part took to answer its last probe, in milliseconds.
   * @throws what the last probe failed with, where no part answers
   */
  latencyMs (): number {
    let slowestMs = -1
    let failure: unknown
    for (const shard of this.#map.all) {
      if (shard === this.#map.unserved) continue
      try {
        slowestMs = Math.max(slowestMs, shard.prober.latencyMs())
      } catch (error) {
        failure = error
      }
    }
    if (slowestMs < 0) throw failure
    return slowestMs
  }

  /** Probes now and from then on. Resolves after the first probes, whatever came of them. */
  async start (): Promise<void> {
    this.#isStarted = true
    await Promise.all([...this.#map.all].map(async ({ prober }) => await prober.start()))
    if (this.#options.owners === undefined) return
    this.#probing = repeat({
      work: async () => await this.#probeUnserved(),
      onError: () => {},
      everyMs: PROBE_INTERVAL_MS
    })
  }

  stop (): void {
    this.#isStarted = false
    this.#probing?.stop()
    for (const { prober } of this.#map.all) prober.stop()
  }

  /** Takes that a user's part could not be asked. */
  failed (username: string, error: unknown): void {
    this.#failed(this.#keyOf(username), error)
  }

  /** Probes where a user lies, to find out whether a failure was an outage: then it is out. */
  async check (username: string): Promise<void> {
    const key = this.#keyOf(username)
    try {
      await this.#options.probe(this.#probeOf(key), undefined)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      this.#failed(key, error)
    }
  }

  async ask<T>(
    key: string,
    question: () => Promise<T>,
    writes = false
  ): Promise<T | undefined> {
    const { open, returning } = this.#at(key).breaker
    // A part that is coming back does not know everything yet. What is written there from now on
    // need not be told afterwards.
    return open && !(writes && returning) ? undefined : await this.#ask(key, question)
  }

  /** Reaches a part that is being told what it missed, too. */
  readonly forReplay: Reach = {
    ask: async (key, question) => {
      const { open, returning } = this.#at(key).breaker
      return open && !returning ? undefined : await this.#ask(key, question)
    }
  }

  async #ask<T>(key: string, question: () => Promise<T>): Promise<T | undefined> {
    try {
      return await question().catch(async (error: unknown) => {
        // A connection that was cut comes back at once; a late answer does not come any sooner.
        if (!isUnavailable(error) || isLate(error) || isAboutSlot(error)) throw error
        return await question()
      })
    } catch (error) {
      if (!isUnavailable(error)) throw error
      this.#failed(key, error)
      return undefined
    }
  }

  #keyOf (username: string): string {
    return this.#options.keys.user('user-leases', username)
  }

  #at (key: string): Shard {
    return this.#map.at(this.#map.slotOf(key))
  }

  /** By what to probe where a key lies. */
  #probeOf (key: string): ProbeKey {
    const slot = this.#map.slotOf(key)
    return this.areOne ? (this.#at(key).probes[0] as ProbeKey) : this.#map.probeIn(slot)
  }

  #failed (key: string, error: unknown): void {
    if (!this.areOne && (isAboutSlot(error) || isLate(error))) {
      this.#takeOut(this.#map.slotOf(key), error)
    } else if (isRefusal(error)) {
      // That concerns nobody else. Whether it concerns every admission, the probe finds out, which
      // asks for what they ask for.
      this.refusals.note()
    } else this.#at(key).breaker.trip(error)
  }

  #takeOut (slot: number, error: unknown): void {
    this.#map.takeOut(slot).breaker.trip(error)
  }

  #create (like?: Shard): Shard {
    const { probe, onKnown, recover, settle, onChange } = this.#options
    const shard: Shard = new Shard(
      {
        probe,
        ...(onKnown && { onKnown }),
        onSlotLost: (slot, error) => this.#takeOut(slot, error),
        recover: async (_shard, lost) => await recover(part, lost, shard.probes),
        settle: async () => await settle(part),
        onChange: (_shard, cause) => {
          onChange(shard, cause)
          if (!shard.breaker.open) this.#map.regroup()
        },
        waits: () =>
          [...this.#map.all].some((one) => one !== shard && one.breaker.returning)
      },
      like
    )
    const part: Part = {
      holds: (key) => this.#at(key) === shard,
      isOut: (key) => this.#at(key) !== shard && this.#at(key).breaker.open,
      failed: (key, error) => this.#failed(key, error),
      get serves () {
        return shard.breaker.serves
      }
    }
    return shard
  }

  /** Finds out which slots are served again. */
  async #probeUnserved (): Promise<void> {
    const slots: number[] = []
    for (const slot of this.#map.unservedFrom(this.#nextUnserved)) {
      if (slots.push(slot) === MOST_PROBED) break
    }
    if (slots.length === 0) return
    this.#nextUnserved = (slots.at(-1) ?? 0) + 1
    const found = await Promise.allSettled(
      slots.map(async (slot) => await this.#options.probe(this.#map.probeIn(slot), undefined))
    )
    const served = slots.filter((_slot, i) => found[i]?.status === 'fulfilled')
    if (served.length > 0) this.#map.takeBack(served)
  }
}
