import { execFile, spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { programs } from './programs.ts'

/** Where a Redis server listens and what it asks of its clients. */
export interface CliTarget {
  readonly host: string
  readonly port: number
  readonly password?: string
  /** Files of the certificate authority and of a client certificate. */
  readonly tls?: { ca: string; cert: string; key: string }
}

/**
 * Runs one command through redis-cli; rejects on an error reply, or if there is no reply for 30 s.
 */
export async function runCli (target: CliTarget, words: string[]): Promise<string> {
  const args = [...connection(target), '-e', ...words]
  const run = promisify(execFile)(programs.redisCli, args, {
    env: environment(target),
    timeout: 30_000,
    maxBuffer: 64 * 1024 * 1024
  })
  run.child.stdin?.end()
  try {
    return (await run).stdout.trimEnd()
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const reason = stderr.trim() || stdout.trim() || String(error)
    throw new Error(`redis-cli ${words.join(' ')}: ${reason}`, { cause: error })
  }
}

/**
 * Sends commands in Redis protocol, from a file or a buffer, by redis-cli --pipe; returns the
 * number of replies.
 */
export async function loadRedis (target: CliTarget, resp: string | Buffer): Promise<number> {
  const child = spawn(programs.redisCli, [...connection(target), '--pipe'], {
    env: environment(target)
  })
  const source = typeof resp === 'string' ? createReadStream(resp) : Readable.from([resp])
  const [printed, complaint] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    pipeline(source, child.stdin)
  ])
  const [, errors, replies] = /errors: (\d+), replies: (\d+)/.exec(printed) ?? []
  if (errors !== '0') throw new Error(`redis-cli --pipe: ${printed}${complaint}`)
  return Number(replies)
}

function connection ({ host, port, tls }: CliTarget): string[] {
  const certificates = tls
    ? ['--tls', '--cacert', tls.ca, '--cert', tls.cert, '--key', tls.key]
    : []
  return ['-h', host, '-p', String(port), '--no-auth-warning', ...certificates]
}

function environment ({ password }: CliTarget): NodeJS.ProcessEnv {
  return { ...process.env, ...(password ? { REDISCLI_AUTH: password } : {}) }
}
