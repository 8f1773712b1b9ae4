/** A Cluster loses a master, or moves its slots while callers call. */
import t, { type Test } from 'tap'
import type { RedisCluster } from '../helpers/redis-cluster.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startCluster, waitFor } from '../helpers/servers.ts'
import { conclude, leasesOf, measure, serveHere } from './matrix.ts'

/** How soon after the new master answers admission is back on Redis, in milliseconds. */
const BACK_WITHIN_MS = 3000

function settingsOf ({ masters }: RedisCluster): Record<string, string> {
  return { REDIS_CLUSTER_NODES: masters.map(({ host, port }) => `${host}:${port}`).join() }
}

async function isMaster (server: RedisServer): Promise<boolean> {
  return (await server.cli('ROLE')).startsWith('master')
}

/** The leases on all that are masters now. */
async function leasesIn (
  { masters, replicas }: RedisCluster,
  dead?: RedisServer
): Promise<Set<string>> {
  const alive = [...masters, ...replicas].filter((server) => server !== dead)
  const roles = await Promise.all(alive.map(isMaster))
  return await leasesOf(...alive.filter((_server, i) => roles[i]))
}

/** Waits until the replica of the first master has its place, and all of the cluster serves. */
async function promoted ({ masters, replicas: [replica] }: RedisCluster): Promise<void> {
  const serves = async () => {
    if (replica === undefined || !(await isMaster(replica))) return false
    const seen = await Promise.all(
      [replica, ...masters.slice(1)].map(async (server) => await server.cli('CLUSTER', 'INFO'))
    )
    return seen.every((info) => info.includes('cluster_state:ok'))
  }
  await waitFor(serves, { what: 'the replica to be a master', deadlineMs: 20_000, everyMs: 20 })
}

async function loseMaster (
  t: Test,
  fault: string,
  lose: (master: RedisServer) => unknown
): Promise<void> {
  const cluster = await startCluster(t)
  const [master] = cluster.masters
  if (master === undefined) throw new Error('no master')
  const service = await serveHere(t, settingsOf(cluster))
  const measured = await measure(t, {
    fault,
    service,
    inject: async () => await lose(master),
    hold: async () => await promoted(cluster),
    clear: () => {},
    leases: async () => await leasesIn(cluster, master)
  })
  t.equal(measured.readinessChanges, 0, 'readiness stays 200')
  measured.row.note = 'recovery counts from when the cluster serves again'
  conclude(t, measured, { detectMs: 1000, recoverMs: BACK_WITHIN_MS })
  master.resume()
}

t.test('a master is killed', async (t) => {
  await loseMaster(t, 'Cluster: one of three masters killed', async (master) => await master.kill())
})

t.test('a master is frozen', async (t) => {
  await loseMaster(t, 'Cluster: one of three masters frozen (SIGSTOP)', (master) => master.pause())
})

t.test('slots move while callers call', async (t) => {
  const cluster = await startCluster(t, 3, 0)
  const [from, to] = cluster.masters
  if (from === undefined || to === undefined) return t.fail('no masters')
  const service = await serveHere(t, settingsOf(cluster))
  const measured = await measure(t, {
    fault: 'Cluster: 1,000 slots resharded under load',
    service,
    load: { users: 200 },
    inject: () => {},
    hold: async () => {
      await from.cli(
        '--cluster',
        'reshard',
        `${from.host}:${from.port}`,
        '--cluster-from',
        await from.cli('CLUSTER', 'MYID'),
        '--cluster-to',
        await to.cli('CLUSTER', 'MYID'),
        '--cluster-slots',
        '1000',
        '--cluster-yes'
      )
    },
    clear: () => {},
    leases: async () => await leasesIn(cluster)
  })
  t.match(await to.cli('CLUSTER', 'SLOTS'), /^0\n999/m, 'the slots have moved')
  t.equal(measured.readinessChanges, 0, 'readiness stays 200')
  measured.row.note = `${Math.round(measured.degradedShare * 1000) / 10} % of the answers degraded`
  conclude(t, measured, { recoverMs: BACK_WITHIN_MS })
})

t.test('a slot is half moved for a while', async (t) => {
  const cluster = await startCluster(t, 3, 0)
  const [from, to] = cluster.masters
  if (from === undefined || to === undefined) return t.fail('no masters')
  const service = await serveHere(t, settingsOf(cluster))
  const slot = await slotOf(from, ['load-user-0', 'load-user-1', 'load-user-2', 'load-user-3'])
  const [source, target] = [await from.cli('CLUSTER', 'MYID'), await to.cli('CLUSTER', 'MYID')]
  const measured = await measure(t, {
    fault: 'Cluster: a slot in use half moved for 2 s',
    service,
    load: { users: 4 },
    async inject () {
      await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source)
      await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target)
      const [key] = (await from.cli('CLUSTER', 'GETKEYSINSLOT', slot, '1')).split('\n')
      await from.cli('MIGRATE', to.host, String(to.port), key ?? '', '0', '5000')
    },
    hold: 2000,
    async clear () {
      const keys = (await from.cli('CLUSTER', 'GETKEYSINSLOT', slot, '1000'))
        .split('\n')
        .filter((key) => key !== '')
      if (keys.length > 0) {
        await from.cli('MIGRATE', to.host, String(to.port), '', '0', '5000', 'KEYS', ...keys)
      }
      for (const server of [to, from]) await server.cli('CLUSTER', 'SETSLOT', slot, 'NODE', target)
    },
    leases: async () => await leasesIn(cluster)
  })
  t.equal(measured.readinessChanges, 0, 'readiness stays 200')
  measured.row.note = `${Math.round(measured.degradedShare * 1000) / 10} % of the answers degraded`
  conclude(t, measured, { recoverMs: BACK_WITHIN_MS })
})

/** The slot of the first of these users whose keys a master holds. */
async function slotOf (master: RedisServer, usernames: string[]): Promise<string> {
  for (const username of usernames) {
    const slot = await master.cli('CLUSTER', 'KEYSLOT', `{${username}}`)
    if (Number(slot) <= 5460) return slot
  }
  throw new Error('none of the users is on this master')
}
