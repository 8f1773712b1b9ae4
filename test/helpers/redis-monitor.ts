import { once } from 'node:events'
import { connect } from 'node:net'
import type { Teardown } from './process.ts'
import type { RedisServer } from './redis-server.ts'
import { waitFor } from './wait.ts'

/** A command as Redis saw it: its name in capitals, then its arguments. */
export type Seen = [name: string, ...args: string[]]

/** Listens to every command that a Redis carries out. */
export interface Monitor {
  /** What was carried out since the last call, up to now, whoever sent it. */
  take(): Promise<Seen[]>
}

/**
 * Opens a MONITOR connection. Redis shows commands there in the order in which it carries them out,
 * so what `take` sends last is seen last: nothing that came before it can be missed.
 */
export async function monitorRedis (
  t: Teardown,
  redis: Pick<RedisServer, 'host' | 'port'>
): Promise<Monitor> {
  const open = async () => {
    const socket = connect(redis.port, redis.host)
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  const [watching, asking] = [await open(), await open()]
  const seen: Seen[] = []
  let rest = ''
  watching.on('data', (chunk) => {
    const lines = (rest + chunk.toString()).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const quoted = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)]
      const words = quoted.map(([, word = '']) => word.replace(/\\(["\\])/g, '$1'))
      const [name = line, ...args] = words
      seen.push([name.toUpperCase(), ...args])
    }
  })
  watching.write('MONITOR\r\n')
  await waitFor(() => seen.splice(0).length > 0, { what: 'MONITOR to begin', everyMs: 1 })
  asking.resume()
  let mark = 0
  return {
    async take () {
      const end = `end-of-take-${++mark}`
      asking.write(`ECHO ${end}\r\n`)
      const at = await waitFor(
        () => seen.findIndex(([name, arg]) => name === 'ECHO' && arg === end) + 1,
        { what: end, everyMs: 1 }
      )
      return seen.splice(0, at).slice(0, -1)
    }
  }
}

const HOUSEKEEPING =
  /:(?:session-(?:policy|sweep-lock|generation|probe(?::\w+)*|watermark:.*)|api-keys|api-key-uses)$/

/**
 * What the service sends of its own accord, whether anybody asks it or not: commands on no key but
 * those of its housekeeping.
 */
export function isBackground ([name, ...args]: Seen): boolean {
  return (
    ['PING', 'INFO', 'TIME'].includes(name) ||
    (name === 'SCAN' && args.join(' ') === '0 COUNT 1') ||
    // The temporary limits that are known are read again from time to time.
    (name === 'MGET' && args.every((arg) => arg.includes(':user-temporary-limit:'))) ||
    args.some((arg) => HOUSEKEEPING.test(arg))
  )
}

/**
 * Waits until the service has started: until it has sent nothing but what it always sends for a
 * while.
 */
export async function quiet ({ take }: Monitor): Promise<void> {
  let takes = 0
  await waitFor(
    async () => {
      takes = (await take()).every(isBackground) ? takes + 1 : 0
      return takes > 5
    },
    { what: 'the service to send nothing but its housekeeping', everyMs: 30 }
  )
}
