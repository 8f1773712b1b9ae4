import { freePort } from './ports.ts'
import type { Teardown } from './process.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis-server.ts'
import { waitFor } from './wait.ts'

/** A Redis cluster whose slots are spread evenly over its masters. */
export interface RedisCluster {
  /** The servers that were masters at the start, in the order of their slots. */
  readonly masters: RedisServer[]
  /** Replicas of the first master, then of the second, … */
  readonly replicas: RedisServer[]
}

const slots = 16_384

/**
 * Starts a cluster and waits until every node calls it whole and every replica follows its master.
 */
export async function startCluster (
  t: Teardown,
  masterCount = 3,
  replicasEach = 1,
  { args = [], ...options }: Pick<RedisOptions, 'args' | 'env' | 'certificates'> = {}
): Promise<RedisCluster> {
  const buses = new Map<RedisServer, number>()
  const nodes = await Promise.all(
    Array.from({ length: masterCount * (1 + replicasEach) }, async () => {
      const bus = await freePort()
      const node = await startRedis(t, {
        ...options,
        args: [
          ...(options.certificates ? ['--tls-cluster', 'yes'] : []),
          '--cluster-enabled',
          'yes',
          '--cluster-port',
          String(bus),
          '--cluster-node-timeout',
          // Where nobody can take over, a busy machine is no reason to think of a node as gone.
          replicasEach === 0 ? '30000' : '1500',
          '--repl-diskless-sync-delay',
          '0',
          ...args
        ]
      })
      buses.set(node, bus)
      return node
    })
  )
  const masters = nodes.slice(0, masterCount)
  const replicas = nodes.slice(masterCount)

  for (const [index, node] of nodes.entries()) {
    await node.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
  }
  for (const [index, master] of masters.entries()) {
    const bound = (count: number): number => Math.floor((count * slots) / masterCount)
    await master.cli('CLUSTER', 'ADDSLOTSRANGE', String(bound(index)), String(bound(index + 1) - 1))
  }
  for (const node of nodes.slice(1)) {
    await nodes[0]?.cli('CLUSTER', 'MEET', node.host, String(node.port), String(buses.get(node)))
  }
  await everyNode(
    nodes,
    'to know all others',
    async (node) =>
      (await node.cli('CLUSTER', 'INFO')).includes(`cluster_known_nodes:${nodes.length}\r`) &&
      !/handshake|noaddr/.test(await node.cli('CLUSTER', 'NODES'))
  )

  for (const [index, replica] of replicas.entries()) {
    const id = (await masters[Math.floor(index / replicasEach)]?.cli('CLUSTER', 'MYID')) ?? ''
    await replica.cli('CLUSTER', 'REPLICATE', id)
  }
  await everyNode(replicas, 'to follow their masters', async (node) =>
    (await node.cli('INFO', 'replication')).includes('master_link_status:up')
  )
  await everyNode(nodes, 'to see the whole cluster', async (node) => {
    const seen = await node.cli('CLUSTER', 'NODES')
    const followers = seen.match(/slave /g) ?? []
    return (
      (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok') &&
      followers.length === replicas.length &&
      !seen.includes('fail')
    )
  })
  return { masters, replicas }
}

async function everyNode (
  nodes: RedisServer[],
  what: string,
  check: (node: RedisServer) => Promise<boolean>
): Promise<void> {
  for (const node of nodes) {
    await waitFor(async () => await check(node), {
      what: `cluster nodes ${what}`,
      everyMs: 50
    })
  }
}
