/**
 * Makes the Redis client, for one server, for Sentinels or for a Cluster. It refuses commands while
 * it is not connected, instead of queueing them, and it never stops reconnecting.
 */
import { checkServerIdentity, type ConnectionOptions } from 'node:tls'
import {
  Cluster,
  Redis,
  type Callback,
  type ClusterOptions,
  type Command,
  type RedisOptions
} from 'ioredis'
import type { Settings } from '../../schemas/settings.ts'

/** PEM texts for TLS; they are looked at for each connection, and may change. */
export interface TlsOptions {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** Replies of a server that is not the master any more, or not yet: the client reconnects. */
const NOT_THE_MASTER = /^(READONLY|NOREPLICAS|LOADING)/

const retryStrategy = (attempt: number) => Math.min(50 * attempt, 500)

/**
 * A Cluster client that refuses commands while it is not connected. Its own
 * `enableOfflineQueue: false` would also refuse commands to a single node while the client connects
 * to that node, which happens after every start and every move of slots.
 */
class PromptCluster extends Cluster {
  #isClosed = false

  override sendCommand (command: Command, ...more: [stream?: never, node?: never]): unknown {
    if (this.status === 'ready' || command.name === 'cluster') {
      return super.sendCommand(command, ...more)
    }
    command.reject(new Error(`The Cluster client is not connected: ${this.status}`))
    return command.promise
  }

  override disconnect (reconnect = false): void {
    this.#isClosed = !reconnect
    super.disconnect(reconnect)
  }

  override quit (...args: Parameters<Cluster['quit']>): Promise<'OK'> {
    this.#isClosed = true
    return super.quit(...args)
  }

  /**
   * The client begins the next refresh when one is over, also when it was closed meanwhile: its
   * timer would keep the process alive for good.
   */
  override refreshSlotsCache (callback?: Callback<void>): void {
    const goOn = callback && ((error?: Error | null) => this.#isClosed || callback(error))
    super.refreshSlotsCache(goOn)
  }
}

/**
 * A client for the configured Redis, not connected yet. While Redis is down commands are rejected
 * at once, and no command is sent twice. A Cluster client is typed as `Redis`, because it takes the
 * same commands.
 */
export function connectRedis (settings: Settings, tls: TlsOptions): Redis {
  const { REDIS_URL: url, REDIS_HOST: host, REDIS_PORT: port, REDIS_DB: db } = settings
  const { REDIS_SENTINELS: sentinels, REDIS_CLUSTER_NODES: nodes } = settings
  const options = connectionOptions(settings, tls)
  if (nodes !== undefined) {
    const hosts = hostList(nodes)
    if ('tls' in options) nameHosts(options.tls, hosts)
    const cluster = new PromptCluster(hosts, clusterOptions(options))
    return cluster.on('+node', inOnePiece) as unknown as Redis
  }
  if (sentinels !== undefined) {
    return inOnePiece(new Redis({ ...options, ...sentinelOptions(settings, tls, sentinels), db }))
  }
  return inOnePiece(
    url === undefined
      ? new Redis({ ...options, host: host ?? '127.0.0.1', port, db })
      : new Redis(url, new URL(url).pathname.length > 1 ? options : { ...options, db })
  )
}

/**
 * Makes a client write all commands of one turn of the event loop at once, because the write is the
 * dearest part of a command. The client's own `enableAutoPipelining` costs more, and it sends
 * scripts to the wrong node of a Cluster.
 */
function inOnePiece (client: Redis): Redis {
  const send = client.sendCommand.bind(client)
  let gathering = false
  client.sendCommand = (command, stream) => {
    if (!gathering && client.status === 'ready') {
      const connection = client.stream
      gathering = true
      connection.cork()
      setImmediate(() => {
        gathering = false
        connection.uncork()
      })
    }
    return send(command, stream)
  }
  return client
}

function connectionOptions (settings: Settings, tls: TlsOptions) {
  const { REDIS_URL: url, REDIS_CLUSTER_NODES: nodes, REDIS_SENTINELS: sentinels } = settings
  const byUrl = nodes === undefined && sentinels === undefined && url !== undefined
  const secured = byUrl ? url.startsWith('rediss:') : settings.REDIS_TLS
  return {
    lazyConnect: true,
    // The replies are the same with the older protocol, and a call costs 2 µs less.
    protocol: 2,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 1000,
    // Long enough that a process which was held up does not take its own delay for a dead
    // connection.
    socketTimeout: 2500,
    // A frozen server never closes its end, and the client connects to the next server only after
    // that or after this time.
    disconnectTimeout: 100,
    // Redis estimates how long it will be loading, and may be far off.
    maxLoadingRetryTime: 500,
    retryStrategy,
    reconnectOnError: (error) => NOT_THE_MASTER.test(error.message),
    ...(settings.REDIS_USERNAME === undefined ? {} : { username: settings.REDIS_USERNAME }),
    ...(settings.REDIS_PASSWORD === undefined ? {} : { password: settings.REDIS_PASSWORD }),
    ...(secured ? { tls: tls as ConnectionOptions } : {})
  } satisfies RedisOptions
}

/**
 * `failoverDetector` listens to the Sentinels, so that the client leaves a frozen master when they
 * name another one.
 */
function sentinelOptions (settings: Settings, tls: TlsOptions, sentinels: string) {
  const {
    REDIS_SENTINEL_MASTER: name,
    REDIS_SENTINEL_USERNAME: user,
    REDIS_SENTINEL_PASSWORD: password
  } = settings
  return {
    sentinels: hostList(sentinels),
    name,
    failoverDetector: true,
    sentinelRetryStrategy: retryStrategy,
    sentinelReconnectStrategy: retryStrategy,
    sentinelCommandTimeout: 1000,
    enableTLSForSentinelMode: settings.REDIS_TLS,
    ...(settings.REDIS_TLS ? { sentinelTLS: tls as ConnectionOptions } : {}),
    ...(user === undefined ? {} : { sentinelUsername: user }),
    ...(password === undefined ? {} : { sentinelPassword: password })
  } satisfies RedisOptions
}

function clusterOptions ({
  lazyConnect,
  retryStrategy,
  ...redisOptions
}: ReturnType<typeof connectionOptions>) {
  return {
    lazyConnect,
    redisOptions,
    // A certificate names the host, not its address.
    ...('tls' in redisOptions && { dnsLookup: asItIs }),
    clusterRetryStrategy: retryStrategy,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    // A frozen master does not answer MOVED, so its successor is found by asking the other nodes.
    // The node that is asked may be the frozen one.
    slotsRefreshTimeout: 300,
    slotsRefreshInterval: 1000
  } satisfies ClusterOptions
}

const asItIs: NonNullable<ClusterOptions['dnsLookup']> = (host, callback) => callback(null, host)

/**
 * The nodes of a Cluster name each other as they like, mostly by address. A certificate of our
 * authority that names one of the configured hosts is that of a node all the same.
 */
function nameHosts (tls: ConnectionOptions, hosts: Array<{ host: string }>): void {
  tls.checkServerIdentity = (host, certificate) => {
    const names = [host, ...hosts.map((one) => one.host)]
    const problems = names.map((name) => checkServerIdentity(name, certificate))
    return problems.includes(undefined) ? undefined : problems[0]
  }
}

function hostList (text: string): Array<{ host: string; port: number }> {
  return text.split(',').map((pair) => {
    const at = pair.lastIndexOf(':')
    return {
      host: pair
        .slice(0, at)
        .trim()
        .replace(/^\[|\]$/g, ''),
      port: Number(pair.slice(at + 1))
    }
  })
}
