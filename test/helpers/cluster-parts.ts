import type { RedisCluster } from './redis-cluster.ts'
import { startCluster } from './redis-cluster.ts'
import type { Teardown } from './process.ts'
import type { RedisServer } from './redis-server.ts'

const SLOTS = 16_384

/** A Cluster of three masters without replicas that serves what it can. */
export async function startPartial (t: Teardown): Promise<RedisCluster> {
  const cluster = await startCluster(t, 3, 0)
  for (const master of cluster.masters) {
    await master.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
  }
  return cluster
}

/** The slot of a user, as the Cluster says. */
export async function slotOfUser (cluster: RedisCluster, username: string): Promise<number> {
  return Number(await cluster.masters[0]?.cli('CLUSTER', 'KEYSLOT', `{${username}}`))
}

/** As many users on each of the masters, master by master. */
export async function usersByMaster (cluster: RedisCluster, each: number): Promise<string[][]> {
  const found: string[][] = cluster.masters.map(() => [])
  for (let i = 0; found.some((users) => users.length < each); i++) {
    found[placeOf(cluster, await slotOfUser(cluster, `u${i}`))]?.push(`u${i}`)
  }
  return found.map((users) => users.slice(0, each))
}

/**
 * Takes a slot from its master, as an operator may by mistake.
 * @param servers - all of the Cluster
 * @returns what gives it back
 */
export async function unserve (
  servers: RedisServer[],
  slot: number
): Promise<() => Promise<void>> {
  const serves = await Promise.all(servers.map(async (server) => await holdsSlot(server, slot)))
  const owner = servers[serves.indexOf(true)]
  // From replicas, too: one that only hears that its master has given up a slot lacks it for good
  // when it takes over.
  for (const server of servers) await server.cli('CLUSTER', 'DELSLOTS', String(slot))
  const id = (await owner?.cli('CLUSTER', 'MYID')) ?? ''
  return async () => {
    await owner?.cli('CLUSTER', 'ADDSLOTS', String(slot))
    await owner?.cli('CLUSTER', 'BUMPEPOCH')
    for (const server of servers) {
      const isOther = server !== owner && (await server.cli('ROLE')).startsWith('master')
      if (isOther) await server.cli('CLUSTER', 'SETSLOT', String(slot), 'NODE', id)
    }
  }
}

/** Whether a server says that it serves a slot. */
async function holdsSlot (server: RedisServer, slot: number): Promise<boolean> {
  const nodes = (await server.cli('CLUSTER', 'NODES')).split('\n')
  const ranges = nodes.find((line) => line.includes('myself'))?.split(' ').slice(8) ?? []
  return ranges.some((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return first !== undefined && last !== undefined && first <= slot && slot <= last
  })
}

function placeOf ({ masters }: RedisCluster, slot: number): number {
  return Math.floor((slot * masters.length) / SLOTS)
}
