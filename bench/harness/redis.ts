/**
 * A Redis of the bench's own: without persistence, on loopback. To the service it looks as if it
 * had been in use for a long time.
 */
import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { freePort, isListening } from './ports.ts'
import { adopt, start, type Started } from './processes.ts'

/** The key that tells one generation of data from the next: this one began long ago. */
const GENERATION = 'voice-ferry-c4:session-generation "of-the-bench 1"'

/** Programs, as scripts/servers.mjs finds them. */
export interface Programs {
  redisServer: string
  redisCli: string
}

/** A running Redis. */
export interface BenchRedis extends Started {
  port: number
  url: string
  /** Runs commands, one a line; returns what redis-cli prints. */
  cli: (...lines: string[]) => Promise<string>
  /**
   * Empties it except for the key that says how old its data are: the service must not take it for
   * a Redis that lost everything.
   */
  empty: () => Promise<void>
  /**
   * Sends pieces in Redis protocol, as fast as Redis takes them. @throws Error when a command is
   * refused
   */
  load: (resp: Iterable<string>) => Promise<void>
}

/** Arguments of redis-server: on loopback, in the foreground, nothing on disk. */
const ARGUMENTS = [
  ...['--bind', '127.0.0.1', '--daemonize', 'no', '--loglevel', 'warning'],
  ...['--save', '', '--appendonly', 'no']
]

/** Starts one. */
export async function startRedis (
  { redisServer, redisCli }: Programs,
  cwd: string
): Promise<BenchRedis> {
  const port = await freePort()
  const started = await start({
    command: redisServer,
    args: ['--port', String(port), ...ARGUMENTS],
    cwd,
    ready: async () => await isListening(port)
  })
  const pipe = async (words: string[], input: Iterable<string>) =>
    await pipeInto(redisCli, ['-h', '127.0.0.1', '-p', String(port), ...words], input)
  const cli = async (...lines: string[]) => {
    const printed = (await pipe([], [lines.join('\n') + '\n'])).trimEnd()
    if (/^ERR /m.test(printed)) throw new Error(`redis-cli: ${printed.slice(0, 500)}`)
    return printed
  }
  const empty = async () => {
    await cli('FLUSHALL', `SET ${GENERATION}`)
  }
  await empty()
  return {
    ...started,
    port,
    url: `redis://127.0.0.1:${port}`,
    cli,
    empty,
    load: async (resp) => {
      const printed = await pipe(['--pipe'], resp)
      if (!printed.includes('errors: 0,')) throw new Error(`redis-cli --pipe: ${printed}`)
    }
  }
}

/** Writes to a program and returns what it prints. @throws Error when it complains */
async function pipeInto (
  program: string,
  args: string[],
  input: Iterable<string>
): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  adopt(child)
  const [printed, complaint] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    pipeline(Readable.from(input), child.stdin)
  ])
  if (complaint !== '') throw new Error(`${program}: ${complaint}`)
  return printed
}

/** One command in Redis protocol. */
export function resp (...words: string[]): string {
  const strings = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  return `*${words.length}\r\n${strings.join('')}`
}
