import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** How many ports one process tries, and how many processes have stretches of their own. */
const [STRETCH, STRETCHES] = [250, 88]
const first = 10_000 + (process.pid % STRETCHES) * STRETCH
let tried = randomInt(STRETCH)

/**
 * A loopback port that nothing listens on, and that no test which runs beside this one is about to
 * use: each takes ports of a stretch of its own, in turn. It lies below the range from which
 * systems take the ports of outgoing connections, so that a client which keeps reconnecting to a
 * stopped server can neither take the port away nor connect to itself.
 */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = first + (tried++ % STRETCH)
    if (await isFree(port)) return port
  }
}

async function isFree (port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
