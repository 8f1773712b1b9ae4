/** Mistakes in restore.lua are seen: what is put back after an outage, and what is not. */
import { Redis } from 'ioredis'
import t from 'tap'
import { askRestore } from '../../services/outage/batches.ts'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import type { Script } from '../../services/redis/scripts.ts'
import type { HeldLease, Lease } from '../../services/sessions/lease.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from '../../services/sessions/timing.ts'
import { startRedis } from '../helpers/servers.ts'
import { restore as mutants } from './restore-mutants.ts'
import { seeMistakes } from './see-mistakes.ts'

const HOUR_MS = 3_600_000
const LEFT_MS = 60_000
const redis = await startRedis(t)
const client = new Redis(redis.url)
t.teardown(() => client.disconnect())
const nowMs = await new RedisExecutor(client).nowMs('')
const BEGAN_MS = nowMs - 10_000
const EARLIER_MS = nowMs - 20_000
const LATER_MS = nowMs - 5_000

let made = 0

/** Keys of its own, what stands at them, and what is put back. */
class World {
  readonly keys = new RedisKeys(`${made++}:`)
  readonly #executor: RedisExecutor

  constructor (executor: RedisExecutor) {
    this.#executor = executor
  }

  get record () {
    return this.keys.lease('ann', 's0')
  }

  get leases () {
    return this.keys.user('user-leases', 'ann')
  }

  async has (record: string, keptMs = LEFT_MS + RECORD_GRACE_MS): Promise<void> {
    await client.set(this.record, record, 'PX', keptMs)
  }

  async ended (ordinaryMs: number, allMs: number): Promise<void> {
    await client.set(this.keys.user('user-ended', 'ann'), `${ordinaryMs} ${allMs}`)
  }

  async restore (
    more: Partial<Lease> = {},
    boundTo = '',
    remainingMs = LEFT_MS,
    moved = false
  ): Promise<string> {
    const expiresMs = nowMs + remainingMs
    const times = { startedMs: BEGAN_MS, expiresMs }
    const about = { sessionId: 's0', username: 'ann', attempt: 1, node: 'n1', details: {} }
    const lease: Lease = { ...about, ...times, ...more }
    const held: HeldLease = { lease, remainingMs, terminated: [], touchedMs: 0, boundTo, moved }
    try {
      return (await askRestore(this.#executor, this.keys, [held])).join()
    } catch (error) {
      return String((error as Error).cause ?? error)
    }
  }

  /** The record, whether the lease is live, and the nodes in whose indexes it stands. */
  async seen (): Promise<[record: string | null, isLive: boolean, nodes: string]> {
    const end = Number(await client.zscore(this.leases, 's0'))
    const nodes: string[] = []
    for (const node of ['n1', 'n2']) {
      if ((await client.zscore(this.keys.nodeLeases(node), 'ann s0')) !== null) nodes.push(node)
    }
    return [await client.get(this.record), end > nowMs + LEFT_MS / 2, nodes.join()]
  }
}

type Is = (found: unknown, wanted: unknown) => void
const text = (started: number, node = 'n1', rest = '1 ') => `+ann ${started} ${node} ${rest}`

const checks: Array<(world: World, is: Is) => Promise<void>> = [
  async (world, is) => {
    is(await world.restore(), 'restored')
    is(await world.seen(), [text(BEGAN_MS), true, 'n1'])
    const keptMs = await client.pttl(world.record)
    is(keptMs > LEFT_MS && keptMs <= LEFT_MS + RECORD_GRACE_MS, true)
  },
  async (world, is) => {
    await world.has('-ann|1 released')
    await client.zadd(world.leases, nowMs + HOUR_MS, 's0')
    is(await world.restore(), 'ended')
    is(await world.seen(), ['-ann|1 released', false, ''])
    is(await world.restore({ attempt: 2 }), 'restored')
  },
  async (world, is) => {
    await world.has('-|@n2 released')
    is(await world.restore({ attempt: 0, node: 'n2' }), 'ended')
    is(await world.restore({ attempt: 0 }), 'restored')
  },
  async (world, is) => {
    await world.has(`+bob ${BEGAN_MS} n1 1 `)
    is(await world.restore(), 'conflict')
    await client.pexpire(world.record, RECORD_GRACE_MS - 1)
    is(await world.restore(), 'restored')
  },
  async (world, is) => {
    await world.has(text(BEGAN_MS, 'n2'))
    is(await world.restore({}, 'n1'), 'conflict')
    await world.has(text(BEGAN_MS))
    is(await world.restore({}, 'n1'), 'restored')
  },
  async (world, is) => {
    await world.has(text(BEGAN_MS, 'n1', '2 '))
    is(await world.restore(), 'ended')
    await client.zadd(world.keys.nodeLeases('n1'), nowMs + HOUR_MS, 'ann s0')
    is(await world.restore({ attempt: 3, node: 'n2' }), 'restored')
    is(await world.seen(), [text(BEGAN_MS, 'n2', '3 '), true, 'n2'])
  },
  async (world, is) => {
    await world.has(text(BEGAN_MS))
    await world.ended(BEGAN_MS, 0)
    is(await world.restore({ startedMs: LATER_MS, attempt: 2 }), 'restored')
    is(await world.restore({ attempt: 2 }), 'ended')
    is(await world.seen(), ['-ann|2 all ended', false, ''])
    const keptMs = await client.pttl(world.record)
    is(keptMs > ENDED_MEMORY_MS / 2 && keptMs <= ENDED_MEMORY_MS, true)
  },
  async (world, is) => {
    await world.ended(BEGAN_MS, 0)
    is(await world.restore({ details: { emergency: true } }), 'restored')
    is(await world.restore(), 'restored')
    is(await world.restore({ startedMs: EARLIER_MS }), 'restored')
    is((await world.seen())[0], text(EARLIER_MS, 'n1', '1! '))
    is(await world.restore({ attempt: 2 }), 'ended')
  },
  async (world, is) => {
    const known = '{"f":"sip:ann@example.net"}'
    await world.has(text(BEGAN_MS, 'n1', `1 ${known}`))
    is(await world.restore({ details: { emergency: true } }), 'restored')
    is(await world.seen(), [text(BEGAN_MS, 'n1', `1! ${known}`), true, 'n1'])
    is(await world.restore({ details: { emergency: true } }), 'restored')
    is(await world.restore(), 'restored')
    is(await world.seen(), [text(BEGAN_MS, 'n1', `1! ${known}`), true, 'n1'])
    await world.has(text(BEGAN_MS, 'n1', '1! '))
    const lease = { startedMs: EARLIER_MS, details: { from: 'sip:ann@example.net' } }
    is(await world.restore(lease), 'restored')
    is(await world.seen(), [text(EARLIER_MS, 'n1', `1! ${known}`), true, 'n1'])
    await world.has(text(BEGAN_MS, 'n1', '1! '))
    const urgent = { ...lease, details: { ...lease.details, emergency: true } }
    is(await world.restore(urgent), 'restored')
    is(await world.seen(), [text(EARLIER_MS, 'n1', `1! ${known}`), true, 'n1'])
  },
  async (world, is) => {
    await world.ended(0, BEGAN_MS)
    is(await world.restore({ details: { emergency: true } }), 'ended')
  },
  async (world, is) => {
    await world.ended(nowMs + HOUR_MS, nowMs + HOUR_MS)
    is(await world.restore(), 'restored')
  },
  async (world, is) => {
    await world.has(text(BEGAN_MS), HOUR_MS)
    await client.zadd(world.leases, nowMs + HOUR_MS, 's0')
    is(await world.restore(), 'restored')
    is((await client.pttl(world.record)) > HOUR_MS / 2, true)
    is(await client.zscore(world.leases, 's0'), String(nowMs + HOUR_MS))
  },
  async (world, is) => {
    const from = { from: 'sip:ann@example.net' }
    await world.has(text(LATER_MS))
    is(await world.restore({ details: from }), 'restored')
    const [record] = await world.seen()
    is([record?.includes(String(BEGAN_MS)), record?.includes(from.from)], [true, true])
    is(await world.restore({ startedMs: EARLIER_MS }), 'restored')
    const [again] = await world.seen()
    is([again?.includes(String(EARLIER_MS)), again?.includes(from.from)], [true, true])
  },
  async (world, is) => {
    await world.has(text(LATER_MS), HOUR_MS)
    is(await world.restore(), 'restored')
    is((await world.seen())[0], text(BEGAN_MS))
    is((await client.pttl(world.record)) > HOUR_MS / 2, true)
  },
  async (world, is) => {
    await world.has(text(EARLIER_MS, '', '1 '))
    is(await world.restore(), 'restored')
    is(await world.seen(), [text(EARLIER_MS), true, 'n1'])
  },
  async (world, is) => {
    await world.has(text(EARLIER_MS, 'n2'))
    is(await world.restore(), 'restored')
    is(await world.seen(), [text(EARLIER_MS, 'n2'), true, 'n2'])
  },
  async (world, is) => {
    await world.has(text(BEGAN_MS))
    await client.zadd(world.leases, nowMs + LEFT_MS / 2, 's0')
    await client.zadd(world.keys.nodeLeases('n1'), nowMs + LEFT_MS / 2, 'ann s0')
    is(await world.restore({ node: 'n2' }, '', LEFT_MS, true), 'restored')
    is(await world.seen(), [text(BEGAN_MS, 'n2'), true, 'n2'])
    is(await world.restore({ node: 'n1' }, '', LEFT_MS / 2, true), 'restored')
    is(await world.seen(), [text(BEGAN_MS, 'n2'), true, 'n2'])
  }
]

/** What the first check finds that fails; undefined where all hold. */
async function check (script?: Script): Promise<string | undefined> {
  const executor = new RedisExecutor(client, 5000)
  if (script !== undefined) Object.assign(executor.scripts, { restore: script })
  let failure: string | undefined
  const is: Is = (found, wanted) => {
    const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)]
    if (one !== other) failure ??= `${one}, not ${other}`
  }
  for (const one of checks) {
    await one(new World(executor), is)
    if (failure !== undefined) return failure
  }
  executor.deadline = () => nowMs - 1
  const late = new World(executor)
  is((await late.restore()).includes('LATE'), true)
  return failure
}

t.test('what is put back after an outage keeps every promise on the list', async (t) => {
  t.equal(await check(), undefined)
})

t.test('mistakes in restore are seen', async (t) => {
  await seeMistakes(t, client, 'restore', mutants, check)
})
