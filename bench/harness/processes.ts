/** Starts processes, and stops exactly those, whatever happens to the bench. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

const START_DEADLINE_MS = 60_000
/** How long a process may take to stop in order: the service closes within 10 s. */
const STOP_DEADLINE_MS = 11_000

const running = new Set<ChildProcess>()

/** What to start and how to know that it is up. */
export interface Start {
  command: string
  args: string[]
  cwd: string
  /** Its whole environment besides PATH: the caller's own settings have no effect. */
  env?: Record<string, string>
  ready: () => Promise<boolean>
}

/** A process that the bench started. It has an IPC channel where it runs Node. */
export interface Started {
  child: ChildProcess
  pid: number
  /** The end of its output. */
  output: () => string
  stop: () => Promise<void>
}

/** Starts a process and waits until it is ready. @throws Error with its output when it is not */
export async function start ({ command, args, cwd, env, ready }: Start): Promise<Started> {
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(command === process.execPath ? ['ipc' as const] : [])]
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  await once(child, 'spawn')
  running.add(child)
  child.once('exit', () => running.delete(child))
  const deadline = Date.now() + START_DEADLINE_MS
  while (!(await ready().catch(() => false))) {
    if (hasEnded(child) || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`${command} ${args.at(-1) ?? ''} did not start:\n${output}`)
    }
    await sleep(20)
  }
  return { child, pid: child.pid ?? 0, output: () => output, stop: async () => await stop(child) }
}

async function stop (child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
  await ended
  clearTimeout(timer)
}

function hasEnded (child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Has a process that was started elsewhere end together with the bench. */
export function adopt (child: ChildProcess): void {
  running.add(child)
  child.once('exit', () => running.delete(child))
}

/** Kills everything that still runs. */
export function killAll (): void {
  for (const child of running) child.kill('SIGKILL')
}

process.once('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killAll()
    process.kill(process.pid, signal)
  })
}
