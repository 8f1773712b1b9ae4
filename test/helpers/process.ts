import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { waitFor } from './wait.ts'

/** The part of a tap test that the helpers use: whatever they start ends with it. */
export type Teardown = Pick<Test, 'teardown'>

/** One running server program. All signals go to its process id and to nothing else. */
export interface ServerProcess {
  readonly pid: number
  /** Ends it in order (SIGTERM), by force (SIGKILL) if that takes longer than 3 s. */
  stop(): Promise<void>
  /** Ends it at once (SIGKILL), as a crash would. */
  kill(): Promise<void>
  /** Freezes it (SIGSTOP): connections stay open, nothing answers. */
  pause(): void
  /** Lets a frozen one go on (SIGCONT). */
  resume(): void
}

type Signal = (name: NodeJS.Signals) => void

const running = new Map<ChildProcess, Signal>()
const folders = new Set<string>()

/**
 * Starts a program and waits until `ready` says so.
 * Fails with what the program wrote if it ends before, and ends it if it is not ready within 60 s.
 * With `group` all signals reach its workers, too, also those that outlive it.
 */
export async function startProcess (
  command: string,
  args: string[],
  ready: () => Promise<boolean>,
  env: Record<string, string> = {},
  { group = false } = {}
): Promise<ServerProcess> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: group
  })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  await once(child, 'spawn')
  const signal: Signal = group ? (name) => signalGroup(child, name) : (name) => child.kill(name)
  running.set(child, signal)
  child.once('exit', () => running.delete(child))

  const server = control(child, signal)
  try {
    const up = await waitFor(async () => (hasEnded(child) ? 'ended' : (await ready()) && 'ready'), {
      what: `${command} to be ready`,
      deadlineMs: 60_000,
      everyMs: 10
    })
    if (up === 'ended') throw new Error(`${command} ended while starting`)
  } catch (error) {
    await server.kill()
    throw new Error(`${(error as Error).message}\n${output}`, { cause: error })
  }
  return server
}

/** A temporary folder, removed when the test ends or, at the latest, when the process does. */
export function temporaryFolder (t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'session-limits-'))
  folders.add(folder)
  t.teardown(() => removeFolder(folder))
  return folder
}

function control (child: ChildProcess, signal: Signal): ServerProcess {
  const end = async (name: NodeJS.Signals, deadlineMs: number): Promise<void> => {
    if (hasEnded(child)) return
    signal('SIGCONT')
    signal(name)
    await waitFor(() => hasEnded(child), {
      what: `process ${child.pid} to end`,
      deadlineMs,
      everyMs: 5
    })
  }
  const kill = async (): Promise<void> => await end('SIGKILL', 30_000)
  return {
    pid: child.pid ?? 0,
    kill,
    stop: async () => await end('SIGTERM', 3000).catch(kill),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT')
  }
}

/** A child that was started with a group of its own leads it, under its own process id. */
function signalGroup (child: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, name)
  } catch {
    // All of them have ended.
  }
}

function hasEnded (child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function removeFolder (folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  folders.delete(folder)
}

function leaveNothing (): void {
  for (const signal of running.values()) {
    signal('SIGCONT')
    signal('SIGKILL')
  }
  for (const folder of folders) removeFolder(folder)
}

process.once('exit', leaveNothing)
// A signal that ends the process does not emit 'exit': clean up, then let it take its course.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    leaveNothing()
    process.kill(process.pid, signal)
  })
}
