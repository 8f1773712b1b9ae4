/**
 * A master behind Sentinels is killed or frozen: the service follows them to the next one. How fast
 * that is, `npm run test:faults` measures.
 */
import t, { type Test } from 'tap'
import { ADMIN, as } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import type { SentinelSet } from '../helpers/redis-sentinel.ts'
import { startSentinel, waitFor } from '../helpers/servers.ts'
import { acquire, startOn, untilDegraded } from './service.ts'

const [PASSWORD, SENTINEL_PASSWORD] = ['of the servers', 'of the sentinels']

/** A master that takes writes only while its replica follows. */
async function start (t: Test): Promise<SentinelSet> {
  return await startSentinel(t, {
    password: PASSWORD,
    sentinelPassword: SENTINEL_PASSWORD,
    masterArgs: ['--min-replicas-to-write', '1']
  })
}

/** Waits until the replica is the master, and takes writes. */
async function promoted ({ replica }: SentinelSet): Promise<void> {
  await waitFor(async () => (await replica.cli('SET', 'promoted', '1')) === 'OK', {
    what: 'the replica to be the master',
    deadlineMs: 120_000
  })
}

for (const [fault, strike] of [
  ['killed', async ({ master }: SentinelSet) => await master.kill()],
  ['frozen', async ({ master }: SentinelSet) => master.pause()]
] as const) {
  t.test(`the master is ${fault}: calls and acknowledged limits are in the next one`, async (t) => {
    const set = await start(t)
    const { sentinels, name, replica, master } = set
    const app = await startOn(t, {
      REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port}`).join(),
      REDIS_SENTINEL_MASTER: name,
      REDIS_SENTINEL_PASSWORD: SENTINEL_PASSWORD,
      REDIS_PASSWORD: PASSWORD
    })
    await untilDegraded(app, false)
    const [early, late] = [
      { username: 'alice', id: 'early', node: 'n1' },
      { username: 'alice', id: 'late', node: 'n1' }
    ]
    t.match(await acquire(app, early), { status: 201, body: { degraded: false } })
    const acknowledged = new Map<string, number>()
    const write = async (i: number) => {
      const path = `/api/sessions/limits/writer-${i}`
      const { status } = await as(app, ADMIN)('PUT', path, { limit: i })
      if (status === 200) acknowledged.set(`writer-${i}`, i)
    }
    for (let i = 0; i < 20; i++) await write(i)
    await strike(set)
    for (let i = 20; i < 25; i++) await write(i)
    await untilDegraded(app, true)
    t.match(await acquire(app, late), { status: 201, body: { degraded: true } })
    t.equal((await as(app, null)('GET', '/healthz/ready')).status, 200, 'the service stays ready')

    await promoted(set)
    await untilDegraded(app, false)
    await audit(t, app, [replica], { up: [early, late], gone: [] })
    if (fault === 'frozen') {
      master.resume()
      await waitFor(async () => (await master.cli('ROLE')).startsWith('slave'), {
        what: 'the old master to follow the new one',
        deadlineMs: 120_000
      })
    }
    t.ok(acknowledged.size >= 20, `${acknowledged.size} limits were acknowledged`)
    for (const [username, limit] of acknowledged) {
      const kept = await replica.cli('GET', `voice-ferry-c4:user-limit:${username}`)
      t.equal(kept, String(limit), `the limit of ${username}`)
    }
  })
}

t.test('a failover that is announced while the client connects does not end it', async (t) => {
  const { sentinels, name } = await startSentinel(t)
  const app = await startOn(t, {
    REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port}`).join(),
    REDIS_SENTINEL_MASTER: name
  })
  await untilDegraded(app, false)
  // What the client does itself when Sentinels name another master: nothing of its own API does.
  const client = app.redis as unknown as { connector: { disconnect(): void } }
  const heard = async (event: string) => await new Promise((resolve) => {
    app.redis.once(event, resolve)
  })
  const [connecting, ended] = [heard('connecting'), heard('end')]
  app.redis.stream.destroy()
  await connecting
  client.connector.disconnect()
  await ended
  await waitFor(() => app.redis.status === 'ready', { what: 'the client to connect again' })
  await untilDegraded(app, false)
  t.match(await acquire(app, { username: 'alice', id: 'a1' }), { body: { degraded: false } })
})
