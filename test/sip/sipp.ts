/** Callers and callees: SIPp with the scenarios beside this file. */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type Teardown, startProcess, temporaryFolder } from '../helpers/process.ts'
import { programs } from './programs.ts'

/** What a caller saw: one line of its log, in the order of what happened. */
export interface CallEvent {
  what: 'asked' | 'up' | 'down' | 'hung-up' | 'refused' | 'cancelled'
  user: string
  callId: string
  /** When, in milliseconds of the callers' clock. */
  atMs: number
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
  /** The Call-ID of a single call; SIPp makes one up when left out. */
  callId?: string
  /** Whether a `canceller` waits until it rings. */
  rings?: boolean
}

/** Calls under way. */
export interface Callers {
  /** What has come of the calls so far; that they were made is left out. */
  events(): CallEvent[]
  /** How long callers waited for their final answers, in milliseconds, shortest first. */
  waitedMs(): number[]
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
      ...(calls.callId === undefined ? [] : ['-cid_str', calls.callId]),
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
  const logged = (): CallEvent[] => parse(readFileSync(log, 'utf8'))
  const events = (): CallEvent[] => logged().filter(({ what }) => what !== 'asked')
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
  return { events, waitedMs: () => waits(logged()), done, kill }
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

function waits (events: CallEvent[]): number[] {
  const asked = new Map<string, number>()
  const waited: number[] = []
  for (const { what, callId, atMs } of events) {
    if (what === 'asked') asked.set(callId, atMs)
    else if (what === 'up' || what === 'refused') waited.push(atMs - (asked.get(callId) ?? NaN))
  }
  return waited.sort((a, b) => a - b)
}

function parse (text: string): CallEvent[] {
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => {
    const [what, user = '', callId = '', at, status] = line.split(' ')
    const known = status === undefined ? undefined : Number(status)
    return { what: what as CallEvent['what'], user, callId, atMs: Number(at), status: known }
  })
}
