/**
 * Which part of Redis each slot of a Cluster lies in. The slots of one master are one part; slots
 * that are out by themselves are others until they are back.
 */
import type { RedisKeys } from '../redis/keys.ts'
import { SLOTS, slotOf, tagIn, type SlotOwners } from '../redis/slots.ts'
import type { ProbeKey, Shard } from './shard.ts'

export interface ShardMapOptions {
  keys: RedisKeys
  /** The owners of the slots; undefined where there are none, and all is one part. */
  owners: SlotOwners | undefined
  /** Makes a part. @param like - what it is taken out of */
  create: (like?: Shard) => Shard
  /** Told of a part that is probed from now on, and of one that is gone. */
  onAdded: (shard: Shard) => void
  onRemoved: (shard: Shard) => void
}

/** Assigns slots to parts. */
export class ShardMap {
  readonly all = new Set<Shard>()
  /** Slots that are not served though the master is well that they lie on. */
  unserved: Shard | undefined
  #options: ShardMapOptions
  #bySlot: Shard[]
  #probeKeys = new Map<number, ProbeKey>()

  constructor (options: ShardMapOptions) {
    this.#options = options
    const { owners } = options
    const shard = options.create()
    this.all.add(shard)
    this.#bySlot = new Array<Shard>(owners === undefined ? 1 : SLOTS).fill(shard)
    this.#recount()
    owners?.onRead(() => this.regroup())
    this.regroup()
  }

  at (slot: number): Shard {
    return this.#bySlot[slot] as Shard
  }

  slotOf (key: string): number {
    return this.#options.owners === undefined ? 0 : slotOf(key)
  }

  /** A key by which a slot is probed. */
  probeIn (slot: number): ProbeKey {
    const { keys } = this.#options
    const known = this.#probeKeys.get(slot)
    if (known !== undefined) return known
    const tag = tagIn(slot)
    const made = { slot, key: keys.generationIn(tag), own: keys.probeIn(tag) }
    this.#probeKeys.set(slot, made)
    return made
  }

  /** Takes a slot out of its part, because it alone is not served. */
  takeOut (slot: number): Shard {
    const shard = this.at(slot)
    if (shard === this.unserved) return shard
    const unserved = this.unserved ?? this.#options.create()
    this.unserved = unserved
    this.all.add(unserved)
    this.#bySlot[slot] = unserved
    unserved.size++
    shard.size--
    if (shard.size === 0) this.#remove(shard)
    else if (shard.probes.some((probe) => probe.slot === slot)) this.#setProbes(shard)
    return unserved
  }

  /** The slots that are not served, from the given one on, and then from the first. */
  * unservedFrom (first: number): Generator<number> {
    for (let i = 0; i < this.#bySlot.length; i++) {
      const slot = (first + i) % this.#bySlot.length
      if (this.unserved !== undefined && this.at(slot) === this.unserved) yield slot
    }
  }

  /** Takes that slots are served again: together they are a part that has missed something. */
  takeBack (slots: number[]): void {
    const { unserved } = this
    if (unserved === undefined) return
    const back = this.#add(unserved)
    for (const slot of slots) {
      if (this.at(slot) === unserved) this.#bySlot[slot] = back
    }
    this.#recount()
    this.regroup()
  }

  /** Puts the slots of each master together that are not out; parts that span masters are split. */
  regroup (): void {
    const { owners } = this.#options
    if (owners === undefined || this.#isGrouped(owners)) return
    const isHome = new Set<Shard>()
    const asked = new Map<string, Shard>()
    this.#bySlot.forEach((shard, slot) => {
      if (this.#ownerOf(slot) !== shard.node) return
      isHome.add(shard)
      if (!shard.breaker.open && !asked.has(shard.node)) asked.set(shard.node, shard)
    })
    const out = new Map<Shard, Map<string, Shard>>()
    this.#bySlot.forEach((shard, slot) => {
      if (shard === this.unserved) return
      const owner = this.#ownerOf(slot)
      const groups = shard.breaker.open ? (out.get(shard) ?? new Map<string, Shard>()) : asked
      if (shard.breaker.open) {
        out.set(shard, groups)
        if (owner === shard.node) return
      }
      let target = groups.get(owner)
      if (target === undefined) {
        target = isHome.has(shard) ? this.#add(shard) : shard
        target.node = owner
        isHome.add(target)
        groups.set(owner, target)
      }
      this.#bySlot[slot] = target
    })
    this.#recount()
  }

  #isGrouped (owners: SlotOwners): boolean {
    const asked = [...this.all].filter(({ breaker }) => !breaker.open)
    if (new Set(asked.map(({ node }) => node)).size < asked.length) return false
    return this.#bySlot.every(
      (shard, slot) => shard === this.unserved || shard.node === (owners.ownerOf(slot) ?? '')
    )
  }

  #ownerOf (slot: number): string {
    return this.#options.owners?.ownerOf(slot) ?? ''
  }

  #add (like?: Shard): Shard {
    const shard = this.#options.create(like)
    this.all.add(shard)
    // Not before it has its keys.
    queueMicrotask(() => {
      if (this.all.has(shard)) this.#options.onAdded(shard)
    })
    return shard
  }

  #remove (shard: Shard): void {
    this.all.delete(shard)
    if (shard === this.unserved) this.unserved = undefined
    this.#options.onRemoved(shard)
  }

  #recount (): void {
    for (const shard of this.all) shard.size = 0
    for (const shard of this.#bySlot) shard.size++
    for (const shard of this.all) {
      if (shard.size === 0) this.#remove(shard)
      else this.#setProbes(shard)
    }
  }

  /** The keys that are the same in every replica, or else any. */
  #setProbes (shard: Shard): void {
    const { keys } = this.#options
    const fixed = keys.generations
      .map((key, i) => ({ key, slot: this.slotOf(key), own: keys.probes[i] ?? '' }))
      .filter(({ slot }) => this.at(slot) === shard)
    shard.probes = fixed.length > 0 ? fixed : [this.probeIn(this.#bySlot.indexOf(shard))]
  }
}
