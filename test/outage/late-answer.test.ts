/** Answers of Redis that come when the mirror decides already, on a manual clock. */
import t from 'tap'
import type { Policy } from '../../schemas/policy.ts'
import { Breaker } from '../../services/outage/breaker.ts'
import { LeaseMirror } from '../../services/outage/lease-mirror.ts'
import { LimitCache } from '../../services/outage/limit-cache.ts'
import { Outbox } from '../../services/outage/outbox.ts'
import { ResilientSessionStore } from '../../services/outage/resilient-session-store.ts'
import { RetryOnce } from '../../services/outage/retry-once.ts'
import { memoryPolicySource } from '../../services/policy/memory-policy-source.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import { RedisClock } from '../../services/redis/redis-clock.ts'
import { LeaseTable } from '../../services/sessions/memory/lease-table.ts'
import type { RedisSessionStore } from '../../services/sessions/redis/redis-session-store.ts'
import type { AcquireRequest, AcquireResult } from '../../services/sessions/session-store.ts'
import { ask, TTL } from '../conformance/words.ts'
import { ManualClock, settled } from '../helpers/manual-clock.ts'
import { oneShard } from './one-shard.ts'

const policy: Policy = {
  enabled: true,
  max_sessions_per_user: 2,
  session_limit_action: 'terminate_oldest'
}

/** A store whose Redis answers when it is told to. */
function start () {
  const clock = new ManualClock()
  const breaker = new Breaker({
    recover: async () => {},
    settle: async () => {},
    now: clock.now
  })
  const answers: Array<(result: AcquireResult) => void> = []
  const store = {
    acquire: async () => await new Promise((resolve) => answers.push(resolve))
  } as unknown as RedisSessionStore
  const cache = new PolicyCache(memoryPolicySource(policy), policy)
  const known = new LimitCache(() => 2, clock.now)
  const mirror = new LeaseMirror(known, cache, new LeaseTable(clock.now, TTL))
  const outbox = new Outbox()
  const shards = oneShard(breaker)
  const retry = new RetryOnce(shards, async () => true)
  const decides = { mirror, known, outbox, mode: 'local' as const }
  const parts = { store, shards, retry, ...decides, clock: new RedisClock() }
  const admitted = (request: AcquireRequest, terminated: string[]): AcquireResult => {
    const { username, sessionId, attempt, ttlMs, details } = request
    const startedMs = clock.now()
    const about = { sessionId, username, attempt, node: '', details }
    const lease = { ...about, startedMs, expiresMs: startedMs + ttlMs }
    const seen = { limit: 2, source: 'default' as const, expiresAtMs: undefined, external: 0 }
    return { outcome: 'admitted', lease, count: 2, limit: 2, terminated, observed: false, seen }
  }
  const sessions = new ResilientSessionStore(parts)
  return { breaker, answers, mirror, outbox, admitted, sessions }
}

t.test('whom a late answer ended is named, and is named to who asks again', async (t) => {
  const { breaker, answers, mirror, outbox, admitted, sessions } = start()
  const request = ask('alice', 'new')
  for (const id of ['old', 'older']) {
    const { outcome } = await mirror.acquire(ask('alice', id))
    t.equal(outcome, 'admitted')
  }
  const answer = sessions.acquire(request)
  await settled()
  breaker.trip(new Error('another question was not answered'))
  answers.shift()?.(admitted(request, ['elsewhere', 'old']))
  t.match(await answer, { outcome: 'admitted', terminated: ['elsewhere', 'old'], degraded: true })
  t.equal(await mirror.getSession('old'), null)
  t.match(await sessions.acquire(request), {
    outcome: 'refreshed',
    terminated: ['elsewhere', 'old'],
    degraded: true
  })
  t.match([...mirror.untoldSince(Infinity)], [
    { lease: { sessionId: 'new' }, terminated: ['elsewhere', 'old'] }
  ])
  t.equal(outbox.size, 0, 'Redis knows whom it has ended')
})

t.test('a late answer to a session that was admitted here meanwhile', async (t) => {
  const { breaker, answers, mirror, admitted, sessions } = start()
  const request = ask('alice', 'new')
  for (const id of ['old', 'older']) await mirror.acquire(ask('alice', id))
  const answer = sessions.acquire(request)
  await settled()
  breaker.trip(new Error('another question was not answered'))
  const first = await sessions.acquire(request)
  t.match(first, { outcome: 'admitted', degraded: true })
  const ended = first.outcome === 'admitted' ? first.terminated : []
  t.equal(ended.length, 1)
  answers.shift()?.(admitted(request, ['elsewhere']))
  t.match(await answer, { outcome: 'refreshed', terminated: ['elsewhere', ...ended] })
  t.match(await sessions.acquire(request), { terminated: ['elsewhere', ...ended] })
})
