/**
 * A process that sends an attacker's requests as fast as they are answered, on ten connections. It
 * is told whose, says how many were answered with each status when it is told to stop, and goes
 * last when processes want the same processor: what it takes to attack is no cost of the service.
 */
import { Agent, request } from 'node:http'
import { constants, setPriority } from 'node:os'
import { ATTACKERS, type Attack } from './attacks.ts'

const CONNECTIONS = 10
/** How long an answer may take, in milliseconds. */
const DEADLINE_MS = 30_000

/** What is asked of the process. */
export interface AttackOrder {
  url: string
  who: string
  token: string | null
}

setPriority(constants.priority.PRIORITY_LOW)

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const statuses: Record<string, number> = {}

process.once('message', ({ url, who, token }: AttackOrder) => {
  const attacks = ATTACKERS.find((one) => one.who === who)?.attacks ?? []
  const stopping = new AbortController()
  for (let i = 0; i < CONNECTIONS; i++) void attackOn(url, token, attacks, i, stopping.signal)
  process.once('message', () => {
    stopping.abort()
    process.send?.(statuses, () => process.exit())
  })
})

async function attackOn (
  url: string,
  token: string | null,
  attacks: Attack[],
  first: number,
  stopping: AbortSignal
): Promise<void> {
  for (let i = first; !stopping.aborted; i++) {
    const attack = attacks[i % attacks.length]
    if (attack === undefined) return
    const status = await send(url, token, attack, stopping)
    statuses[status] = (statuses[status] ?? 0) + 1
  }
}

async function send (
  url: string,
  token: string | null,
  { method, path, body }: Attack,
  stopping: AbortSignal
): Promise<number> {
  return await new Promise((resolve) => {
    const headers = {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body)
      })
    }
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(DEADLINE_MS)])
    const sent = request(`${url}${path}`, { method, agent, headers, signal }, (response) => {
      response.resume()
      response.on('close', () => resolve(response.statusCode ?? 0))
      response.on('error', () => {})
    })
    sent.on('error', () => resolve(0))
    sent.end(body)
  })
}
