/** The processes of the demonstration. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const children = []

/** Starts a program; its errors are shown. */
export function start (program, args, env = process.env) {
  const child = spawn(program, args.map(String), { env, stdio: ['ignore', 'ignore', 'inherit'] })
  child.once('error', (error) => console.error(error.message))
  children.push(child)
}

/** Ends all that were started. */
export async function stopAll () {
  await Promise.all(children.map(stop))
}

async function stop (child) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(force)
}

/**
 * Waits until a server is up.
 * @throws Error when a process ends meanwhile, or after 15 s
 */
export async function until (what, isUp) {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await sleep(50)) {
    if (children.some(({ exitCode }) => exitCode !== null)) {
      throw new Error(`${what} ended while starting`)
    }
    try {
      if (await isUp()) return
    } catch {
      /* not yet */
    }
  }
  throw new Error(`${what} did not start`)
}

/** A port that is free now. */
export async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
