import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './ports.ts'
import type { Teardown } from './process.ts'

/**
 * A TCP proxy on loopback whose network can be made bad at run time, for live and new connections
 * alike.
 */
export interface TcpProxy {
  readonly host: string
  readonly port: number
  /** Hands everything on. The mode at the start. */
  pass(): void
  /** Resets live connections and, from now on, new ones. */
  reset(): void
  /** Hands every chunk on `ms` later, in each direction. */
  delay(ms: number): void
  /** Hands on only so many bytes per millisecond, in each direction of each connection. */
  trickle(bytesPerMs: number): void
  /**
   * Accepts connections and swallows what both sides send. A connection that lost bytes this way
   * cannot go on: it stays silent during this mode and is reset when the mode ends.
   */
  blackhole(): void
  /**
   * Lets the next request through, drops the reply and resets that connection; resolves when that
   * has happened. Called several times, it does so with as many requests.
   */
  swallowNextReply(): Promise<void>
  /** Resets all connections and refuses new ones. */
  close(): Promise<void>
}

type Mode =
  | { name: 'pass' | 'reset' | 'blackhole' }
  | { name: 'delay'; ms: number }
  | { name: 'trickle'; bytesPerMs: number }

/** A client's connection, the one made for it to the server, and what happened to them. */
interface Link {
  client: Socket
  server: Socket
  lostBytes: boolean
  hasAsked: boolean
}

/**
 * Starts a proxy in front of a server.
 * @param rewrite - changes what the server answers
 */
export async function startProxy (
  t: Teardown,
  target: { host: string; port: number },
  rewrite: (reply: Buffer) => Buffer = (reply) => reply
): Promise<TcpProxy> {
  const links = new Set<Link>()
  const swallowing: Array<() => void> = []
  let mode: Mode = { name: 'pass' }

  const sever = (link: Link): void => {
    links.delete(link)
    for (const socket of [link.client, link.server]) {
      // One that has begun to end cannot be reset: Node would take it for closed, and wait for that
      // for ever at its own end.
      if (socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
  }
  const change = (next: Mode): void => {
    mode = next
    for (const link of links) {
      if (mode.name === 'reset' || (link.lostBytes && mode.name !== 'blackhole')) sever(link)
    }
  }
  const handOn = async (link: Link, chunk: Buffer, to: Socket): Promise<void> => {
    let [rest, allowance, last] = [chunk, 0, performance.now()]
    while (rest.length > 0 && !to.destroyed) {
      if (mode.name === 'blackhole') {
        link.lostBytes = true
        return
      }
      if (mode.name === 'trickle') {
        await sleep(1)
        allowance += (performance.now() - last) * mode.bytesPerMs
        last = performance.now()
      }
      const count = mode.name === 'trickle' ? Math.floor(allowance) : rest.length
      if (count > 0) to.write(rest.subarray(0, count))
      rest = rest.subarray(count)
      allowance -= count
    }
  }
  /**
   * Carries one direction of a connection. Chunks wait in line, so that a change of mode cannot
   * reorder them.
   */
  const carry = (link: Link, from: Socket, to: Socket): void => {
    let line = Promise.resolve()
    from.on('data', (chunk) => {
      if (from === link.client && swallowing.length > 0) link.hasAsked = true
      if (from === link.server && link.hasAsked) {
        for (const other of links) other.hasAsked = false
        sever(link)
        swallowing.shift()?.()
        return
      }
      const dueMs = performance.now() + (mode.name === 'delay' ? mode.ms : 0)
      line = line.then(async () => {
        // Timers may fire a little early: look again.
        for (let left; (left = dueMs - performance.now()) > 0;) await sleep(left)
        await handOn(link, from === link.server ? rewrite(chunk) : chunk, to)
      })
    })
    from.on('end', () => {
      line = line.then(() => {
        if (mode.name === 'blackhole') link.lostBytes = true
        else to.end()
      })
    })
    from.on('error', () => {
      if (mode.name === 'blackhole') link.lostBytes = true
      else sever(link)
    })
    from.on('close', () => {
      if (to.destroyed) links.delete(link)
    })
  }

  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (mode.name === 'reset') {
      client.resetAndDestroy()
      return
    }
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true })
    const link = { client, server, lostBytes: false, hasAsked: false }
    links.add(link)
    carry(link, client, server)
    carry(link, server, client)
  })
  listener.listen(await freePort(), '127.0.0.1')
  await once(listener, 'listening')

  const close = async (): Promise<void> => {
    for (const link of links) sever(link)
    if (!listener.listening) return
    listener.close()
    await once(listener, 'close')
  }
  t.teardown(close)
  return {
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    pass: () => change({ name: 'pass' }),
    reset: () => change({ name: 'reset' }),
    delay: (ms) => change({ name: 'delay', ms }),
    trickle: (bytesPerMs) => change({ name: 'trickle', bytesPerMs }),
    blackhole: () => change({ name: 'blackhole' }),
    swallowNextReply: async () =>
      await new Promise((resolve) => {
        swallowing.push(resolve)
      }),
    close
  }
}
