import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { type Teardown, temporaryFolder } from './process.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis-server.ts'
import { makeCertificates } from './tls.ts'
import { waitFor } from './wait.ts'

/** A master with one replica, watched by three sentinels. */
export interface SentinelSet {
  /** The name under which the sentinels know the master. */
  readonly name: string
  /** The server that was master at the start; after a failover it is a replica. */
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly sentinels: RedisServer[]
  /**
   * Port of the server that the sentinels still running, all of them, hold to be the master now.
   */
  masterPort(): Promise<number | undefined>
}

const name = 'mymaster'

/** How to start a master with its replica and sentinels. */
export interface SentinelOptions {
  /** Of the Redis servers. */
  password?: string
  /** Of the sentinels. */
  sentinelPassword?: string
  /** TLS only, for all of them. */
  tls?: boolean
  /** More options of the server that is master at the start. */
  masterArgs?: string[]
  /** Variables of the Redis servers' environment. */
  env?: Record<string, string>
}

/**
 * Starts the set and waits until a failover could happen: a master is down after 1 s if two
 * sentinels agree.
 */
export async function startSentinel (
  t: Teardown,
  options: SentinelOptions = {}
): Promise<SentinelSet> {
  const { password, sentinelPassword, masterArgs = [], env = {} } = options
  const shared = {
    ...(password !== undefined && { password }),
    ...(options.tls === true && { certificates: await makeCertificates(temporaryFolder(t)) })
  }
  const fast = ['--repl-diskless-sync-delay', '0']
  const master = await startRedis(t, { ...shared, env, args: [...fast, ...masterArgs] })
  // Not as an option: once promoted, it must not come back from a restart as a replica.
  const replica = await startRedis(t, { ...shared, env, args: fast })
  await replica.cli('REPLICAOF', master.host, String(master.port))
  await waitFor(
    async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up'),
    {
      what: 'the replica to follow its master'
    }
  )
  const sentinels = await Promise.all(
    [1, 2, 3].map(
      async () =>
        await startOne(t, master, {
          ...shared,
          password: sentinelPassword ?? ''
        })
    )
  )
  await waitFor(async () => (await Promise.all(sentinels.map(isReady))).every(Boolean), {
    what: 'the sentinels to know each other and the replica',
    everyMs: 50
  })
  return {
    name,
    master,
    replica,
    sentinels,
    async masterPort () {
      const answers = await Promise.allSettled(
        sentinels.map(
          async (sentinel) => await sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)
        )
      )
      const ports = new Set(
        answers.flatMap((answer) =>
          answer.status === 'fulfilled' ? answer.value.split('\n')[1] : []
        )
      )
      return ports.size === 1 ? Number([...ports][0]) : undefined
    }
  }
}

async function startOne (
  t: Teardown,
  master: RedisServer,
  options: RedisOptions
): Promise<RedisServer> {
  const config = join(temporaryFolder(t), 'sentinel.conf')
  const port = await freePort()
  await writeFile(
    config,
    [
      `sentinel monitor ${name} ${master.host} ${master.port} 2`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 3000`,
      ...(master.password ? [`sentinel auth-pass ${name} "${master.password}"`] : []),
      ''
    ].join('\n')
  )
  return await startRedis(t, { ...options, port, config, args: ['--sentinel'] })
}

/** Whether a sentinel could begin a failover: it knows the others and the replica. */
export async function isReady (sentinel: RedisServer): Promise<boolean> {
  const words = (await sentinel.cli('SENTINEL', 'MASTER', name)).split('\n')
  const field = (key: string): string | undefined => words[words.indexOf(key) + 1]
  return (
    field('num-other-sentinels') === '2' &&
    field('num-slaves') === '1' &&
    field('flags') === 'master'
  )
}
