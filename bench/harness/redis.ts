/**
 * A Redis of the bench's own: without persistence, on loopback. To the service it looks as if it
 * had been in use for a long time.
 */
import type { Teardown } from '../../test/helpers/process.ts'
import {
  startRedis as startServer,
  type RedisServer
} from '../../test/helpers/redis-server.ts'

/** The key that tells one generation of data from the next: this one began long ago. */
const GENERATION = ['voice-ferry-c4:session-generation', 'of-the-bench 1'] as const

/** A running Redis. */
export interface BenchRedis extends Pick<RedisServer, 'host' | 'port' | 'url' | 'pid' | 'cli'> {
  /**
   * Empties it except for the key that says how old its data are: the service must not take it for
   * a Redis that lost everything.
   */
  empty: () => Promise<void>
  /** Sends pieces in Redis protocol. @throws Error when a command is refused */
  load: (resp: Iterable<string>) => Promise<void>
}

/** Starts one. */
export async function startRedis (t: Teardown): Promise<BenchRedis> {
  const { host, port, url, pid, cli, load } = await startServer(t)
  const empty = async () => {
    await cli('FLUSHALL')
    await cli('SET', ...GENERATION)
  }
  await empty()
  return {
    host,
    port,
    url,
    pid,
    cli,
    empty,
    load: async (resp) => {
      await load(Buffer.from([...resp].join('')))
    }
  }
}

/** One command in Redis protocol. */
export function resp (...words: string[]): string {
  const strings = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  return `*${words.length}\r\n${strings.join('')}`
}
