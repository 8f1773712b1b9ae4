/** Where the service's data lies: what faults are done to, and when it is whole again. */
import { slotOfUser, unserve } from '../helpers/cluster-parts.ts'
import { fakeClock } from '../helpers/faketime.ts'
import type { Teardown } from '../helpers/process.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { isReady } from '../helpers/redis-sentinel.ts'
import { startCluster, startSentinel } from '../helpers/servers.ts'
import { Network } from './network.ts'

/** How many replicas of the service there are. */
export const REPLICAS = 3

export interface Deployment {
  name: string
  /** Every server that holds data, as a master or as a replica. */
  servers: RedisServer[]
  network: Network
  /** What a replica of the service has to be told. */
  settings: (replica: number) => Record<string, string>
  /** Sets the clock of all servers. */
  setClock: (aheadSeconds: number) => void
  /** The servers that are masters and serve now. */
  masters: () => Promise<RedisServer[]>
  /**
   * Whether every master is there, and has a replica that follows it.
   * @throws Error that says what is missing
   */
  isWhole: () => Promise<boolean>
  /** Lets a replica take over. */
  failOver: (master: RedisServer) => Promise<unknown>
  /** Takes from its master the slot in which a user's sessions lie; returns what gives it back. */
  unserve?: (username: string) => Promise<() => Promise<void>>
}

/** One Redis with a replica, and three Sentinels. */
export async function behindSentinels (t: Teardown): Promise<Deployment> {
  const clock = fakeClock(t)
  const set = await startSentinel(t, { env: clock.env })
  const servers = [set.master, set.replica]
  const network = await Network.start(t, [...servers, ...set.sentinels], REPLICAS)
  const masters = async () => {
    const port = await set.masterPort()
    return servers.filter((server) => server.port === port)
  }
  return {
    name: 'Sentinel',
    servers,
    network,
    settings: (replica) => ({
      REDIS_SENTINELS: network.addresses(replica, set.sentinels),
      REDIS_SENTINEL_MASTER: set.name
    }),
    setClock: clock.set,
    masters,
    async isWhole () {
      const [master] = await masters()
      const areReady = await Promise.all(set.sentinels.map(isReady))
      if (master === undefined || areReady.includes(false)) {
        throw new Error(`master ${master?.port}, sentinels ready: ${areReady.join()}`)
      }
      return await areFollowed([master], servers)
    },
    failOver: async () => await set.sentinels[0]?.cli('SENTINEL', 'FAILOVER', set.name)
  }
}

/** A Cluster of three masters with a replica each. */
export async function inCluster (t: Teardown): Promise<Deployment> {
  const clock = fakeClock(t)
  const args = ['--cluster-require-full-coverage', 'no']
  const cluster = await startCluster(t, 3, 1, { args, env: clock.env })
  const servers = [...cluster.masters, ...cluster.replicas]
  const network = await Network.start(t, servers, REPLICAS)
  const masters = async () => await thatAre('master', servers)
  return {
    name: 'Cluster',
    servers,
    network,
    settings: (replica) => ({ REDIS_CLUSTER_NODES: network.addresses(replica, servers) }),
    setClock: clock.set,
    masters,
    async isWhole () {
      const infos = await Promise.all(servers.map(async (one) => await one.cli('CLUSTER', 'INFO')))
      const ill = infos.find((info) =>
        !info.includes('cluster_state:ok') || !info.includes('cluster_slots_ok:16384'))
      const now = await masters()
      if (ill !== undefined || now.length !== 3) throw new Error(`${now.length} masters, ${ill}`)
      return await areFollowed(now, servers)
    },
    async failOver (master) {
      const replicas = await thatAre('slave', servers)
      const roles = await Promise.all(replicas.map(async (one) => await one.cli('ROLE')))
      const at = roles.findIndex((role) => role.split('\n')[2] === String(master.port))
      await replicas[at]?.cli('CLUSTER', 'FAILOVER')
    },
    async unserve (username) {
      const slot = await slotOfUser(cluster, username)
      return await unserve(servers, slot)
    }
  }
}

/** Those of the servers that answer, and have this role. */
async function thatAre (role: string, servers: RedisServer[]): Promise<RedisServer[]> {
  const roles = await Promise.all(
    servers.map(async (server) => await server.cli('ROLE').catch(() => 'none'))
  )
  return servers.filter((_server, i) => roles[i]?.startsWith(role))
}

/** Whether each of these masters has one replica, and every other server follows its master. */
async function areFollowed (masters: RedisServer[], servers: RedisServer[]): Promise<boolean> {
  const infos = await Promise.all(
    servers.map(async (server) => await server.cli('INFO', 'replication'))
  )
  const alone = infos.find((info, i) =>
    masters.includes(servers[i] as RedisServer)
      ? !/role:master[^]*state=online/.test(info)
      : !info.includes('master_link_status:up'))
  if (alone !== undefined) throw new Error(alone)
  return true
}
