/** Work that is done once for all who ask for it while it is under way. */
import { ServiceError } from '../errors.ts'

/** The most callers who wait for one piece of work. */
const MOST_WAITING = 50

interface Waiting<T> {
  isGone: () => boolean
  resolve: (result: T) => void
  reject: (error: unknown) => void
}

/** What is under way, and who waits for it. */
interface UnderWay<T> {
  waiting: Set<Waiting<T>>
  abandoned: boolean
}

/** Does one piece of work at a time; who asks meanwhile gets the same result. */
export class SharedWork<T> {
  #work: (isGone: () => boolean) => Promise<T>
  #underWay: UnderWay<T> | undefined

  /** @param work - asks now and then whether everybody who waits has gone, and may give up then */
  constructor (work: (isGone: () => boolean) => Promise<T>) {
    this.#work = work
  }

  /**
   * @param isGone - whether this caller has gone; nothing is kept of one who has
   * @throws ServiceError `too_many_requests` when too many wait, or the caller has gone
   */
  async result (isGone: () => boolean = () => false): Promise<T> {
    const found = this.#underWay
    const joined = found === undefined || found.abandoned ? this.#begin() : found
    if (joined.waiting.size >= MOST_WAITING) letGo(joined)
    if (joined.waiting.size >= MOST_WAITING) {
      throw tooMany('Too many lists or sweeps at once; try again shortly.')
    }
    return await new Promise((resolve, reject) => {
      joined.waiting.add({ isGone, resolve, reject })
    })
  }

  #begin (): UnderWay<T> {
    const begun: UnderWay<T> = { waiting: new Set(), abandoned: false }
    this.#underWay = begun
    const allGone = () => {
      letGo(begun)
      begun.abandoned ||= begun.waiting.size === 0
      return begun.abandoned
    }
    const end = (tell: (one: Waiting<T>) => void) => {
      if (this.#underWay === begun) this.#underWay = undefined
      begun.waiting.forEach(tell)
    }
    // Not before the first caller waits.
    void Promise.resolve().then(async () => await this.#work(allGone)).then(
      (result) => end(({ resolve }) => resolve(result)),
      (error: unknown) => end(({ reject }) => reject(error))
    )
    return begun
  }
}

/** Ends the waiting of those who have gone, so that nothing is kept of their requests. */
function letGo<T> ({ waiting }: UnderWay<T>): void {
  for (const one of waiting) {
    if (!one.isGone()) continue
    waiting.delete(one)
    one.reject(tooMany('The caller has hung up.'))
  }
}

function tooMany (message: string): ServiceError {
  return new ServiceError('too_many_requests', message, { retryAfterSeconds: 1 })
}
