/** Room for large bodies is bounded, and nobody gets all of it. */
import t from 'tap'
import { ByteBudget } from '../../services/util/byte-budget.ts'
import { ManualClock, settled } from '../helpers/manual-clock.ts'

const ROOM = { bytes: 30, bytesEach: 20, waiting: 4, waitingEach: 2, waitMs: 5_000 }
const refused = { code: 'too_many_requests', retryAfterSeconds: 2 }

function start () {
  const clock = new ManualClock()
  const budget = new ByteBudget(ROOM, clock.timer)
  const got: string[] = []
  /** Takes room, and notes who got some. */
  const take = async (holder: string, bytes: number) => {
    const giveBack = await budget.take(holder, bytes)
    got.push(`${holder} ${bytes}`)
    return giveBack
  }
  return { clock, budget, got, take }
}

t.test('who finds no room gets it when others give theirs back, in their order', async (t) => {
  const { budget, got, take } = start()
  const [a, b] = [await take('a', 15), await take('b', 15)]
  const waiting = [take('c', 15), take('d', 10)]
  await settled()
  t.strictSame(got, ['a 15', 'b 15'])
  t.strictSame(budget.state, { used: 30, holders: 2, waiting: 2 })
  a()
  a()
  await settled()
  t.strictSame(got, ['a 15', 'b 15', 'c 15'], 'given back once, whoever says it twice')
  b()
  for (const giveBack of await Promise.all(waiting)) giveBack()
  t.strictSame(budget.state, { used: 0, holders: 0, waiting: 0 })
})

t.test('nobody gets more than its share, and who waits for it holds up nobody', async (t) => {
  const { got, take } = start()
  const first = await take('a', 15)
  const second = take('a', 15)
  await take('b', 10)
  t.strictSame(got, ['a 15', 'b 10'])
  first()
  await second
  t.strictSame(got, ['a 15', 'b 10', 'a 15'])
})

t.test('one who asks for more than there is gets it when nobody else has any', async (t) => {
  const { budget, take } = start()
  const giveBack = await take('a', 100)
  t.equal(budget.state.used, 100)
  giveBack()
})

t.test('only so many wait, of each and in all', async (t) => {
  const { budget, take } = start()
  await take('a', 20)
  const waiting = [take('a', 1), take('a', 1)]
  await t.rejects(take('a', 1), refused, 'the third of one')
  waiting.push(take('b', 20), take('c', 20))
  await t.rejects(take('d', 20), refused, 'the fifth of all')
  t.equal(budget.state.waiting, 4)
  for (const one of waiting) one.catch(() => {})
})

t.test('nobody waits for ever', async (t) => {
  const { clock, budget, take } = start()
  const giveBack = await take('a', 20)
  const refusals = [take('b', 20), take('c', 20)].map(async (one) => await t.rejects(one, refused))
  await clock.pass(5_000)
  await Promise.all(refusals)
  t.equal(budget.state.waiting, 0)
  giveBack()
  await take('a', 20)
  t.equal(clock.timers, 0, 'no timer is left')
})
