/** A part of Redis with a fate of its own: whether it is asked, and how it is probed. */
import { Breaker, type BreakerOptions, type Seen } from './breaker.ts'
import { isAboutSlot } from './failures.ts'
import { Prober } from './prober.ts'

/** What a replay has to know of the part that is back. */
export interface Part {
  /** Whether a key lies in it. */
  holds(key: string): boolean
  /** Whether a key lies in another part, which is out. */
  isOut(key: string): boolean
  /** Takes that a key could not be asked. Its slot may not lie in this part afterwards. */
  failed(key: string, error: unknown): void
  /** Whether its probes are answered. */
  readonly serves: boolean
}

/** By what a part is probed. */
export interface ProbeKey {
  slot: number
  /** The key that tells of the data. */
  key: string
  /** What the keys begin with that the probe writes itself. */
  own: string
}

/** What the probe of a key tells. */
export interface Probed {
  /** The generation of the data. */
  generation: string
  /** Which server process answered. */
  server: string
  /** How often that was found to have lost something. */
  losses?: number
}

/** What a shard does about what happens to it. */
export interface ShardEvents extends Omit<BreakerOptions, 'recover' | 'settle' | 'onChange'> {
  /** @param asked - which server processes are asked, so that they know what is known here */
  probe: (key: ProbeKey, asked: string[] | undefined) => Promise<Probed>
  /** Told of a slot that is not served though the server is well. */
  onSlotLost: (slot: number, error: unknown) => void
  recover: (shard: Shard, lostItsData: boolean) => Promise<void>
  settle: (shard: Shard) => Promise<void>
  onChange: (shard: Shard, cause: unknown) => void
}

/**
 * One server; what one master of a Cluster serves; or slots of a Cluster that are not served, or
 * were not told yet what they missed.
 */
export class Shard {
  readonly breaker: Breaker
  readonly prober: Prober<Seen | undefined>
  /** The master as `host:port`; '' where none is known. */
  node = ''
  /** How many slots lie in it. */
  size = 0
  /** By which keys it is probed. */
  probes: ProbeKey[] = []
  #events: ShardEvents

  /** @param like - a part that it was taken out of: it is out for as long */
  constructor (events: ShardEvents, like?: Shard) {
    this.#events = events
    const { recover, settle, onChange, probe, onSlotLost, ...options } = events
    this.breaker = new Breaker(
      {
        ...options,
        recover: async (lostItsData) => await recover(this, lostItsData),
        settle: async () => await settle(this),
        onChange: (_open, cause) => onChange(this, cause)
      },
      like?.breaker
    )
    this.prober = new Prober<Seen | undefined>({
      probe: async () => await this.#probe(),
      onServed: (seen) => {
        if (seen !== undefined) void this.breaker.served(seen)
      },
      onFailed: (error) => this.breaker.trip(error)
    })
  }

  /** Asks all keys; those whose slots alone are out are left to others. */
  async #probe (): Promise<Seen | undefined> {
    const losses: Record<string, number> = {}
    const seen: Seen = { generations: {}, servers: [], losses }
    const { asked } = this.breaker
    const { probe, onSlotLost } = this.#events
    const probes = this.probes
    const found = await Promise.allSettled(probes.map(async (key) => await probe(key, asked)))
    let failure: unknown
    found.forEach((one, i) => {
      const { key = '', slot = 0 } = probes[i] ?? {}
      if (one.status === 'fulfilled') {
        seen.generations[key] = one.value.generation
        seen.servers.push(one.value.server)
        losses[key] = one.value.losses ?? 0
      } else if (isAboutSlot(one.reason)) {
        onSlotLost(slot, one.reason)
      } else {
        failure = one.reason
      }
    })
    if (failure !== undefined) throw failure
    return seen.servers.length === 0 ? undefined : seen
  }
}
