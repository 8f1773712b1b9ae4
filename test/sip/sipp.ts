/** Callers and callees: SIPp with the scenarios beside this file. */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type Teardown, startProcess, temporaryFolder } from '../helpers/process.ts'
import { programs } from './programs.ts'

/** What a caller saw: one line of its log, in the order of what happened. */
export interface CallEvent {
  what: 'up' | 'down' | 'hung-up' | 'refused' | 'cancelled'
  user: string
  callId: string
  /** The final answer of a refused call. */
  status: number | undefined
}

/** Calls that one SIPp process makes. */
export interface Calls {
  scenario?: 'caller' | 'canceller'
  /** Who calls whom, one after the other: `[user, request URI]`. */
  calls: Array<[user: string, uri: string]>
  /** How many calls in all; as many as `calls` names when left out. */
  count?: number
  perSecond?: number
  /** How long a call stays up, in milliseconds. */
  holdMs?: number
  /** Whether a `canceller` waits until it rings. */
  rings?: boolean
}

/** Calls under way. */
export interface Callers {
  /** What has been logged so far. */
  events(): CallEvent[]
  /** Waits until all calls have ended; fails when one went otherwise than its scenario allows. */
  done: Promise<CallEvent[]>
  /** Ends the callers at once, without a BYE, as a power cut would. */
  kill(): void
}

const scenarios = new URL('./scenarios/', import.meta.url)
/** Unexpected messages, such as an answer that comes late, end no call. */
const COMMON = ['-nostdin', '-i', '127.0.0.1', '-default_behaviors', 'all,-abortunexp']

/** Starts a callee on this UDP port, for any number of calls. */
export async function startCallee (t: Teardown, port: number): Promise<void> {
  const file = new URL('callee.xml', scenarios).pathname
  const args = [...COMMON, '-sf', file, '-p', String(port), '-aa', '-nd']
  const callee = await startProcess(programs.sipp, args, async () => await isTaken(port))
  t.teardown(async () => await callee.kill())
}

/** Lets callers call through the proxy on this port. */
export function startCallers (t: Teardown, proxyPort: number, calls: Calls): Callers {
  const { scenario = 'caller', perSecond = 10, holdMs = 1000, rings = true } = calls
  const folder = temporaryFolder(t)
  const log = `${folder}/log`
  const text = readFileSync(new URL(`${scenario}.xml`, scenarios), 'utf8')
    .replaceAll('{{holdMs}}', String(holdMs))
    .replaceAll('{{ringing}}', rings ? '<recv response="180"/>' : '')
  writeFileSync(`${folder}/scenario.xml`, text)
  const rows = calls.calls.map((fields) => fields.join(';'))
  writeFileSync(`${folder}/calls.csv`, ['SEQUENTIAL', ...rows, ''].join('\n'))
  writeFileSync(log, '')
  const count = calls.count ?? calls.calls.length
  const process = spawn(
    programs.sipp,
    [
      ...COMMON,
      ...['-sf', `${folder}/scenario.xml`, '-inf', `${folder}/calls.csv`],
      ...['-m', String(count), '-r', String(perSecond), '-l', '5000'],
      ...['-trace_logs', '-log_file', log, `127.0.0.1:${proxyPort}`]
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder }
  )
  t.teardown(() => process.kill('SIGKILL'))
  let output = ''
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000)
    })
  }
  const events = (): CallEvent[] => parse(readFileSync(log, 'utf8'))
  const finish = async (): Promise<CallEvent[]> => {
    const [code] = await once(process, 'exit')
    if (code !== 0) throw new Error(`sipp ended with ${code}:\n${output}`)
    return events()
  }
  const done = finish()
  done.catch(() => {}) // told to whoever waits for it
  const kill = (): void => {
    process.kill('SIGKILL')
  }
  return { events, done, kill }
}

/** Whether somebody listens on this UDP port. */
async function isTaken (port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  try {
    socket.bind({ port, address: '127.0.0.1', exclusive: true })
    return await once(socket, 'listening').then(() => false, () => true)
  } finally {
    socket.close()
  }
}

function parse (text: string): CallEvent[] {
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => {
    const [what, user = '', callId = '', status] = line.split(' ')
    const known = status === undefined ? undefined : Number(status)
    return { what: what as CallEvent['what'], user, callId, status: known }
  })
}
