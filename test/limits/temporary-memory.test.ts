/** Temporary limits in memory go when they end, whether anybody asks for them or not. */
import t from 'tap'
import { MemoryLimitsStore } from '../../services/limits/memory-limits-store.ts'

t.test('temporary limits that have ended are forgotten', async (t) => {
  let now = 1_000
  const store = new MemoryLimitsStore(() => 5, () => now)
  for (let i = 0; i < 20_000; i++) {
    now += 1
    await store.setTemporaryLimit(`user-${i}`, { limit: 1, duration: 1 })
    if (i % 5 === 0) await store.setTemporaryLimit('same', { limit: 2, duration: 60 })
  }
  t.ok(store.temporaryCount < 2_000, `${store.temporaryCount} are remembered`)
  t.match(await store.getLimit('same'), { limit: 2, source: 'temporary' })
  t.match(await store.getLimit('user-19999'), { limit: 1, source: 'temporary' })
  now += 120_000
  await store.setTemporaryLimit('last', { limit: 3, duration: 60 })
  t.match(await store.getLimit('same'), { limit: 5, source: 'default' })
  t.match(await store.getLimit('last'), { limit: 3, source: 'temporary' })
})

t.test('a temporary limit that is set once more is queued once', async (t) => {
  const store = new MemoryLimitsStore(() => 5, () => 1_000)
  for (let i = 0; i < 1_000; i++) {
    await store.setTemporaryLimit('alice', { limit: 2, duration: 60 + i })
  }
  t.equal(store.endCount, 1)
})
