/** A bound on how many bytes are in use at one time. Who finds no room waits for it, a while. */
import { ServiceError } from '../errors.ts'
import { systemTimer, type Timer } from './repeat.ts'

/** How much room there is: in all, and for each holder. */
export interface Room {
  bytes: number
  bytesEach: number
  /** How many may wait. */
  waiting: number
  waitingEach: number
  /** How long one waits at the most, in milliseconds. */
  waitMs: number
}

/** Gives room back; once. */
export type GiveBack = () => void

interface Waiting {
  holder: string
  bytes: number
  take: (giveBack: GiveBack) => void
}

/** Gives room to those who ask for it, in their order; nobody gets all of it. */
export class ByteBudget {
  #room: Room
  #timer: Timer
  #used = 0
  #held = new Map<string, number>()
  #waiting = new Set<Waiting>()

  constructor (room: Room, timer: Timer = systemTimer) {
    this.#room = room
    this.#timer = timer
  }

  /** How many bytes are in use, how many holders have some, and how many wait. */
  get state () {
    return { used: this.#used, holders: this.#held.size, waiting: this.#waiting.size }
  }

  /**
   * Takes room for so many bytes. A holder who has none gets any number of bytes.
   * @throws ServiceError `too_many_requests` where too many wait, or it took too long
   */
  take (holder: string, bytes: number): Promise<GiveBack> {
    return new Promise((resolve, reject) => {
      let cancel = () => {}
      const one = {
        holder,
        bytes,
        take: (giveBack: GiveBack) => {
          cancel()
          resolve(giveBack)
        }
      }
      this.#waiting.add(one)
      this.#serve()
      if (!this.#waiting.has(one)) return
      const giveUp = () => {
        this.#waiting.delete(one)
        this.#serve()
        reject(tooMany())
      }
      if (this.#isCrowded(holder)) return giveUp()
      cancel = this.#timer(giveUp, this.#room.waitMs)
    })
  }

  #isCrowded (holder: string): boolean {
    const own = [...this.#waiting].filter((one) => one.holder === holder).length
    return this.#waiting.size > this.#room.waiting || own > this.#room.waitingEach
  }

  /** Lets in who has waited longest, and passes over those who have their share. */
  #serve (): void {
    const { bytes, bytesEach } = this.#room
    for (const one of this.#waiting) {
      const own = this.#held.get(one.holder) ?? 0
      if (own > 0 && own + one.bytes > bytesEach) continue
      if (this.#used > 0 && this.#used + one.bytes > bytes) return
      this.#waiting.delete(one)
      this.#add(one, one.bytes)
      let isHeld = true
      one.take(() => {
        if (!isHeld) return
        isHeld = false
        this.#add(one, -one.bytes)
        this.#serve()
      })
    }
  }

  #add ({ holder }: Waiting, bytes: number): void {
    this.#used += bytes
    const own = (this.#held.get(holder) ?? 0) + bytes
    if (own > 0) this.#held.set(holder, own)
    else this.#held.delete(holder)
  }
}

function tooMany (): ServiceError {
  const detail = 'Too many large bodies at once; try again shortly.'
  return new ServiceError('too_many_requests', detail, { retryAfterSeconds: 2 })
}
