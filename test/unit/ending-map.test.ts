/** Values that end, such as temporary limits and bars, go whether anybody asks for them or not. */
import t from 'tap'
import { MemoryLimitsStore } from '../../services/limits/memory-limits-store.ts'
import { EndingMap } from '../../services/util/ending-map.ts'

t.test('temporary limits and bars that have ended are forgotten', async (t) => {
  let now = 1_000
  const store = new MemoryLimitsStore(() => 5, () => now)
  for (let i = 0; i < 20_000; i++) {
    now += 1
    await store.setTemporaryLimit(`user-${i}`, { limit: 1, duration: 1 })
    await store.setBar(`user-${i}`, { reason: '', expiresMs: now + 1_000 })
    if (i % 5 === 0) await store.setTemporaryLimit('same', { limit: 2, duration: 60 })
  }
  t.ok(store.endingCount < 4_000, `${store.endingCount} are remembered`)
  t.match(await store.getLimit('same'), { limit: 2, source: 'temporary' })
  t.match(await store.getLimit('user-19999'), { limit: 1, source: 'temporary', bar: {} })
  now += 120_000
  await store.setTemporaryLimit('last', { limit: 3, duration: 60 })
  t.match(await store.getLimit('same'), { limit: 5, source: 'default' })
  t.match(await store.getLimit('last'), { limit: 3, source: 'temporary' })
  t.equal((await store.getLimit('user-19999')).bar, undefined)
})

t.test('what has ended is never seen, and what has no end stays', async (t) => {
  let now = 0
  const map = new EndingMap<number>(() => now, (end) => end)
  map.set('a', 10)
  map.set('b', Infinity)
  t.equal(map.get('a'), 10)
  now = 10
  t.equal(map.get('a'), undefined)
  t.equal(map.delete('a'), false)
  t.equal(map.get('b'), Infinity)
  t.equal(map.endCount, 1, 'what has no end is not waited for')
  map.set('c', 5)
  t.strictSame([...map], [['b', Infinity]])
  t.equal(map.delete('b'), true)
})

t.test('a value that is set once more is waited for once, and goes by its last end', async (t) => {
  let now = 0
  const map = new EndingMap<number>(() => now, (end) => end)
  for (let i = 1; i <= 1_000; i++) map.set('a', i)
  t.equal(map.endCount, 1)
  now = 999
  map.set('b', Infinity)
  t.equal(map.get('a'), 1_000)
  now = 1_000
  map.set('b', Infinity)
  t.equal(map.size, 1)
  t.equal(map.endCount, 0)
})

t.test('what is deleted leaves nothing behind, however late it would have ended', async (t) => {
  let now = 0
  const map = new EndingMap<number>(() => now, (end) => end)
  map.set('stays', 1e12)
  for (let i = 0; i < 20_000; i++) {
    now += 1_000
    map.set(`user-${i}`, 1e12)
    map.delete(`user-${i}`)
  }
  t.ok(map.endCount < 400, `${map.endCount} are waited for`)
  t.equal(map.get('stays'), 1e12)
})
