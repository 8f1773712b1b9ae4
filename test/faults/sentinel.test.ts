/**
 * A master behind Sentinels is killed, or frozen: the service follows the Sentinels to the next
 * one.
 */
import t, { type Test } from 'tap'
import type { SentinelSet } from '../helpers/redis-sentinel.ts'
import { startSentinel, waitFor } from '../helpers/servers.ts'
import { conclude, httpClient, leasesOf, measure, serveHere } from './matrix.ts'

const [PASSWORD, SENTINEL_PASSWORD] = ['of the servers', 'of the sentinels']
/** How soon after the new master answers admission is back on Redis, in milliseconds. */
const BACK_WITHIN_MS = 3000

/** Settings of a service behind these Sentinels. */
function behind ({ sentinels, name }: SentinelSet): Record<string, string> {
  return {
    REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port}`).join(),
    REDIS_SENTINEL_MASTER: name,
    REDIS_SENTINEL_PASSWORD: SENTINEL_PASSWORD,
    REDIS_PASSWORD: PASSWORD
  }
}

async function start (t: Test, masterArgs: string[] = []): Promise<SentinelSet> {
  return await startSentinel(t, {
    password: PASSWORD,
    sentinelPassword: SENTINEL_PASSWORD,
    masterArgs
  })
}

/** Waits until the replica is the master, and takes writes. */
async function promoted ({ replica }: SentinelSet): Promise<void> {
  await waitFor(async () => (await replica.cli('SET', 'promoted', '1')) === 'OK', {
    what: 'the replica to be the master',
    deadlineMs: 20_000,
    everyMs: 20
  })
}

t.test('the master is killed', async (t) => {
  const set = await start(t)
  const service = await serveHere(t, behind(set))
  const measured = await measure(t, {
    fault: 'Sentinel: master killed',
    service,
    inject: set.master.kill,
    hold: async () => await promoted(set),
    clear: () => {},
    leases: async () => await leasesOf(set.replica)
  })
  t.equal(measured.readinessChanges, 0, 'readiness stays 200')
  measured.row.note = 'recovery counts from the first answer of the new master'
  conclude(t, measured, { detectMs: 1000, recoverMs: BACK_WITHIN_MS })
})

t.test('the master is frozen: what was acknowledged is there when all is over', async (t) => {
  const set = await start(t, ['--min-replicas-to-write', '1'])
  const [service, other] = [await serveHere(t, behind(set)), await serveHere(t, behind(set))]
  const clients = [service, other].map(({ url, token }) => httpClient(url, token))
  t.teardown(() => clients.forEach((client) => client.close()))
  const writer = writeLimits(clients)
  const measured = await measure(t, {
    fault: 'Sentinel: master frozen (SIGSTOP), thawed after the failover',
    service,
    inject: set.master.pause,
    hold: async () => await promoted(set),
    clear: () => {},
    leases: async () => await leasesOf(set.replica)
  })
  measured.row.note = 'recovery counts from the first answer of the new master'
  conclude(t, measured, { detectMs: 1000, recoverMs: BACK_WITHIN_MS })
  set.master.resume()
  await waitFor(async () => (await set.master.cli('ROLE')).startsWith('slave'), {
    what: 'the old master to be a replica',
    deadlineMs: 30_000
  })
  const { acknowledged, refused } = await writer.stop()
  t.ok(acknowledged.size > 50, `${acknowledged.size} limits were acknowledged, ${refused} refused`)
  t.ok(refused > 0, 'some writes fell into the failover')
  const lost: string[] = []
  for (const [username, limit] of acknowledged) {
    if ((await set.replica.cli('GET', `voice-ferry-c4:user-limit:${username}`)) !== String(limit)) {
      lost.push(username)
    }
  }
  t.strictSame(lost, [], 'no acknowledged limit is lost')
})

/**
 * Sets limits all the time, by turns through each of the services; `stop` says which were
 * acknowledged.
 */
function writeLimits (clients: Array<ReturnType<typeof httpClient>>) {
  const acknowledged = new Map<string, number>()
  const state = { refused: 0, stopping: false }
  const run = Promise.all(
    clients.map(async (client, c) => {
      for (let i = 1; !state.stopping && i < 20_000; i++) {
        const username = `writer-${c}-${i % 500}`
        const { status } = await client.ask('PUT', `/api/sessions/limits/${username}`, { limit: i })
        if (status === 200) acknowledged.set(username, i)
        else {
          state.refused++
          // Nobody knows whether it was written.
          acknowledged.delete(username)
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })
  )
  return {
    async stop () {
      state.stopping = true
      await run
      return { acknowledged, refused: state.refused }
    }
  }
}
