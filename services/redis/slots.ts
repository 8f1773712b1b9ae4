/**
 * Slots of a Redis Cluster: where a key lies, and which master serves it
 * (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model).
 */
import { Cluster, type Redis } from 'ioredis'

/** How many slots there are. */
export const SLOTS = 16_384

/** CRC-16/XMODEM, byte by byte. */
const CRC = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

/** The slot of a key: that of what stands in its first `{…}`, unless there is nothing in it. */
export function slotOf (key: string): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? slotOfText(key, open + 1, close) : slotOfText(key, 0, key.length)
}

function slotOfText (key: string, from: number, to: number): number {
  let crc = 0
  for (let i = from; i < to; i++) {
    const code = key.charCodeAt(i)
    if (code > 127) return slotOfBytes(key.slice(from, to))
    crc = ((crc << 8) & 0xffff) ^ (CRC[(crc >> 8) ^ code] ?? 0)
  }
  return crc % SLOTS
}

function slotOfBytes (text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc = ((crc << 8) & 0xffff) ^ (CRC[(crc >> 8) ^ byte] ?? 0)
  }
  return crc % SLOTS
}

/** A number whose slot is the given one, to make keys of; about 16,384 have to be tried. */
export function tagIn (slot: number): string {
  let tag = 0
  while (slotOf(String(tag)) !== slot) tag++
  return String(tag)
}

/** Which masters serve the slots of a Cluster, as the client knows it. */
export interface SlotOwners {
  /** The master of a slot as `host:port`; undefined where none is known. */
  ownerOf(slot: number): string | undefined
  /** Calls back whenever the client has read anew who serves what. */
  onRead(callback: () => void): void
}

/** The owners of the slots; undefined for a Redis that is no Cluster. */
export function slotOwners (client: Redis | Cluster): SlotOwners | undefined {
  if (!(client instanceof Cluster)) return undefined
  return {
    ownerOf: (slot) => client.slots[slot]?.[0],
    onRead: (callback) => client.on('refresh', callback)
  }
}
