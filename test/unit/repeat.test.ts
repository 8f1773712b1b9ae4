/** Work in the background is repeated on a timer that the test holds in its hand. */
import t from 'tap'
import { repeat, repeatLater, type Timer } from '../../services/util/repeat.ts'

/** A timer that goes off when it is told to. */
function handTimer () {
  const due: Array<{ afterMs: number; callback: () => void }> = []
  const timer: Timer = (callback, afterMs) => {
    const entry = { afterMs, callback }
    due.push(entry)
    return () => due.splice(due.indexOf(entry), 1)
  }
  return {
    timer,
    rests: () => due.map(({ afterMs }) => afterMs),
    goOff: () => due.shift()?.callback()
  }
}

/** Work whose rounds end when they are told to. */
function rounds () {
  const ends: Array<{ well: () => void; badly: (error: Error) => void }> = []
  let begun = 0
  const errors: string[] = []
  return {
    work: async () => {
      begun++
      await new Promise<void>((resolve, reject) => {
        ends.push({ well: resolve, badly: reject })
      })
    },
    onError: (error: unknown) => {
      errors.push((error as Error).message)
    },
    begun: () => begun,
    errors,
    async endWell () {
      ends.shift()?.well()
      await settled()
    },
    async endBadly (message: string) {
      ends.shift()?.badly(new Error(message))
      await settled()
    }
  }
}

/** Lets everything run that waits for nothing outside. */
async function settled (): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

t.test('a round begins at once, and the next one a rest after its end', async (t) => {
  const [hand, work] = [handTimer(), rounds()]
  const loop = repeat({ ...work, everyMs: 100, timer: hand.timer })
  t.equal(work.begun(), 1)
  t.strictSame(hand.rests(), [], 'no rest begins while a round is under way: none can overlap')
  await work.endWell()
  await loop.first
  t.strictSame(hand.rests(), [100])
  hand.goOff()
  t.equal(work.begun(), 2)
  t.strictSame(hand.rests(), [])
  loop.stop()
})

t.test('a round that fails is told, and the next one comes after its own rest', async (t) => {
  const [hand, work] = [handTimer(), rounds()]
  const loop = repeat({ ...work, everyMs: 100, retryMs: 7, timer: hand.timer })
  await work.endBadly('first')
  await loop.first
  t.strictSame(work.errors, ['first'])
  t.strictSame(hand.rests(), [7])
  hand.goOff()
  await work.endWell()
  t.strictSame(hand.rests(), [100])
  loop.stop()
})

t.test('work that throws at once has failed like any other', async (t) => {
  const hand = handTimer()
  const errors: unknown[] = []
  const work = () => {
    throw new Error('at once')
  }
  const loop = repeat({
    work,
    onError: (error) => {
      errors.push(error)
    },
    everyMs: 5,
    timer: hand.timer
  })
  await loop.first
  t.match(errors, [{ message: 'at once' }])
  t.strictSame(hand.rests(), [5])
  loop.stop()
})

t.test('one that begins later rests first', async (t) => {
  const [hand, work] = [handTimer(), rounds()]
  const loop = repeatLater({ ...work, everyMs: 100, timer: hand.timer })
  await loop.first
  t.equal(work.begun(), 0)
  t.strictSame(hand.rests(), [100])
  hand.goOff()
  t.equal(work.begun(), 1)
  loop.stop()
})

t.test('after a stop no round begins, whether one was under way or not', async (t) => {
  const [hand, work] = [handTimer(), rounds()]
  const resting = repeatLater({ ...work, everyMs: 100, timer: hand.timer })
  resting.stop()
  t.strictSame(hand.rests(), [], 'the rest is called off')
  const working = repeat({ ...work, everyMs: 100, timer: hand.timer })
  working.stop()
  await work.endWell()
  t.strictSame(hand.rests(), [], 'the round under way ends, and no rest begins')
  t.equal(work.begun(), 1)
})
