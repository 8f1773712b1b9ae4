/** Work that is done once for all who ask for it while it is under way. */

/** What is under way, and whether each of those who wait for it has gone. */
interface UnderWay<T> {
  result: Promise<T>
  waiting: Array<() => boolean>
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

  /** @param isGone - whether this caller has gone */
  async result (isGone: () => boolean = () => false): Promise<T> {
    const found = this.#underWay
    if (found !== undefined && !found.abandoned) {
      found.waiting.push(isGone)
      return await found.result
    }
    return await this.#begin(isGone).result
  }

  #begin (isGone: () => boolean): UnderWay<T> {
    const waiting = [isGone]
    const allGone = () => {
      begun.abandoned ||= waiting.every((one) => one())
      return begun.abandoned
    }
    const begun: UnderWay<T> = {
      waiting,
      abandoned: false,
      result: Promise.resolve().then(async () => await this.#work(allGone))
    }
    this.#underWay = begun
    const end = () => {
      if (this.#underWay === begun) this.#underWay = undefined
    }
    begun.result.then(end, end)
    return begun
  }
}
