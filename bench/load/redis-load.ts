/**
 * The Redis load process: makes all commands first, so that sending them costs almost nothing, then
 * sends them and counts answered batches.
 */
import { connect } from 'node:net'
import { cpuMs } from '../harness/proc.ts'
import { resp } from '../harness/redis.ts'
import type { RedisLoadOptions, RedisLoadResult } from './redis-load-types.ts'
import { RequestMaker } from './templates.ts'

const BATCH = 100
const BATCHES_UNDER_WAY = 8
/** The last command of each batch echoes this, which no other answer contains. */
const MARK = 'end-of-a-batch-of-the-bench'

process.once('message', (options: RedisLoadOptions) => {
  run(options)
    .catch((error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }))
    .then((answer) => process.send?.(answer, () => process.disconnect()))
})

async function run (options: RedisLoadOptions): Promise<RedisLoadResult> {
  const batches = makeBatches(options)
  const before = cpuMs(options.pid)
  const startedMs = performance.now()
  await sendAll(options.port, batches)
  return {
    seconds: (performance.now() - startedMs) / 1000,
    redisCpuMs: cpuMs(options.pid) - before
  }
}

function makeBatches ({ words, commands, users, firstNumber }: RedisLoadOptions): Buffer[] {
  const requests = new RequestMaker([respTemplate(words)], {
    users,
    firstNumber,
    numbers: commands
  }).passes()
  const end = resp('ECHO', MARK)
  return Array.from({ length: Math.ceil(commands / BATCH) }, (_, batch) => {
    const count = Math.min(BATCH, commands - batch * BATCH)
    return Buffer.from(Array.from({ length: count }, () => requests.next().value).join('') + end)
  })
}

/** A placeholder counts with its value's length. */
function respTemplate (words: string[]): string {
  const lengthOf = (word: string) =>
    Buffer.byteLength(word.replaceAll('{n}', '0'.repeat(10)).replaceAll('{u}', '0'.repeat(8)))
  return `*${words.length}\r\n${words.map((word) => `$${lengthOf(word)}\r\n${word}\r\n`).join('')}`
}

async function sendAll (port: number, batches: Buffer[]): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  try {
    await new Promise<void>((resolve, reject) => {
      let [sent, answered, tail] = [0, 0, '']
      const send = () => {
        if (sent < batches.length) socket.write(batches[sent++] as Buffer)
      }
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('Redis closed the connection')))
      socket.on('data', (chunk) => {
        const text = tail + chunk.toString('latin1')
        const refusal = /(?:^|\n)(-[A-Z]+ [^\r]*)/.exec(text)
        if (refusal !== null) reject(new Error(refusal[1]))
        let from = 0
        for (let at = text.indexOf(MARK); at !== -1; at = text.indexOf(MARK, from)) {
          from = at + MARK.length
          answered++
          send()
        }
        tail = text.slice(Math.max(from, text.length - MARK.length))
        if (answered === batches.length) resolve()
      })
      for (let i = 0; i < BATCHES_UNDER_WAY; i++) send()
    })
  } finally {
    socket.removeAllListeners('close')
    socket.destroy()
  }
}
