/** What probes find besides whether Redis serves: how old its data is, and what it refuses. */
import type { RedisInspector } from '../health/redis-inspector.ts'
import type { Log } from '../log.ts'
import type { Warnings } from '../health/warnings.ts'
import type { LeaseMirror } from '../outage/lease-mirror.ts'
import type { ProbeKey } from '../outage/shard.ts'
import type { RedisKeys } from '../redis/keys.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { LEARNING_MS } from '../sessions/timing.ts'
import { refuseRefused, type Probed } from './redis-probe.ts'

const ENDS_FORGOTTEN =
  'more sessions end than are remembered: if Redis loses its data now, some that have ended may ' +
  'take a slot again until their time to live is over'

interface Parts {
  keys: RedisKeys
  inspector: RedisInspector
  log: Log
  warnings: Warnings
}

/** What has to know of what probes find, or is asked what the replica has forgotten. */
interface Told {
  store: RedisSessionStore
  mirror: Pick<LeaseMirror, 'forgotten'>
}

/** Keeps what the probes of all parts of Redis have found last. */
export class ProbeNotes {
  #parts: Parts
  #told: () => Told
  #agesMs = new Map<string, number>()
  #refused = new Map<string, string[]>()

  /** @param told - what is made only after this, and used only after that */
  constructor (parts: Parts, told: () => Told) {
    this.#parts = parts
    this.#told = told
  }

  /** Notes what a probe finds. */
  async of (
    { key }: ProbeKey,
    probe: () => Promise<Probed>
  ): Promise<Probed> {
    const { keys, inspector } = this.#parts
    // Others are there only since a part was probed that has none of these.
    const isFixed = keys.generations.includes(key)
    try {
      const probed = await probe()
      if (isFixed) {
        this.#refused.set(key, probed.refused)
        inspector.probed([...new Set([...this.#refused.values()].flat())])
      }
      refuseRefused(probed)
      if (isFixed) this.#see(key, probed.ageMs)
      return probed
    } catch (error) {
      inspector.failed(error)
      throw error
    }
  }

  #see (key: string, ageMs: number): void {
    const { log, warnings } = this.#parts
    const { store, mirror } = this.#told()
    if (mirror.forgotten > 0) warnings.raise('ends_forgotten', ENDS_FORGOTTEN)
    this.#agesMs.set(key, ageMs)
    const learning = Math.min(...this.#agesMs.values()) < LEARNING_MS
    if (learning && !store.learning) {
      log.warn(
        { at_most_seconds: LEARNING_MS / 1000 },
        'Redis is empty or new: calls that are up are unknown until they are renewed'
      )
    } else if (!learning && store.learning) {
      log.info({}, 'Redis knows all calls again: each has had time to be renewed')
    }
    store.learning = learning
  }
}
