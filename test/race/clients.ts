import { setTimeout as sleep } from 'node:timers/promises'
import { randomNumbers } from '../helpers/random-numbers.ts'
import { Connection, NotSent, type RawAnswer } from './connection.ts'
import { History, type HistoryData, type Kind, type Outcome } from './history.ts'

/** What the clients are told. */
export interface Race {
  ports: number[]
  token: string
  operations: number
  clients: number
  users: number
  ttlSeconds: number
  seed: number
}

/** What they saw: the history, and answers that fit no operation. */
export interface Ran {
  history: HistoryData
  seconds: number
  odd: string[]
  /** How many answers an instance gave that had lost Redis for a moment. */
  withoutRedis: number
}

/** A lease that a client believes to hold. */
interface Held {
  session: number
  grantedAt: number
}

/** How many leases a client holds at the most. */
const MOST_HELD = 25

/** Lets all clients run until so many operations are done. */
export async function runClients (race: Race): Promise<Ran> {
  const history = History.withRoomFor(race.operations)
  const start = performance.now()
  const remarks: Remarks = { odd: [], withoutRedis: 0 }
  await Promise.all(
    Array.from(
      { length: race.clients },
      async (_, i) => await new Client(race, history, remarks, i).run()
    )
  )
  return { history: history.data, seconds: (performance.now() - start) / 1000, ...remarks }
}

type Remarks = Pick<Ran, 'odd' | 'withoutRedis'>

class Client {
  #race: Race
  #history: History
  #remarks: Remarks
  #connections: Connection[]
  /** Second connections, for what is asked twice at the same time. */
  #spare: Connection[]
  #held: Held[] = []
  /** Until when an instance is not asked. */
  #away = new Map<Connection, number>()
  #random: () => number

  constructor (race: Race, history: History, remarks: Remarks, number: number) {
    this.#race = race
    this.#history = history
    this.#remarks = remarks
    this.#connections = race.ports.map((port) => new Connection(port, race.token))
    this.#spare = race.ports.map((port) => new Connection(port, race.token))
    this.#random = randomNumbers(race.seed + number)
  }

  async run (): Promise<void> {
    while (!this.#history.isFull) {
      if (this.#random() < 0.1) await sleep(this.#random() * 5)
      await this.#step()
    }
    for (const connection of [...this.#connections, ...this.#spare]) connection.abort()
  }

  async #step (): Promise<void> {
    const choice = this.#random()
    const held = this.#held[Math.floor(this.#random() * this.#held.length)]
    if (held === undefined || (choice < 0.5 && this.#held.length < MOST_HELD)) {
      return await this.#takeNew()
    }
    // One that may have expired meanwhile is left alone: its slot comes back by itself.
    if (performance.now() - held.grantedAt > this.#race.ttlSeconds * 600) return this.#forget(held)
    if (choice < 0.88) return await this.#giveBack(held)
    const kind = choice < 0.95 ? 'acquire' : 'renew'
    const invoked = performance.now()
    const outcome = await this.#ask(kind, held.session)
    if (outcome === 'refreshed' || outcome === 'renewed') held.grantedAt = invoked
  }

  async #takeNew (): Promise<void> {
    const session = this.#history.addSession(Math.floor(this.#random() * this.#race.users))
    const grantedAt = performance.now()
    // Now and then the same id is asked for twice at the same time.
    const twice = this.#random() < 0.04 && !this.#history.isFull
    const other = twice ? this.#ask('acquire', session, this.#spare) : undefined
    let outcome = await this.#ask('acquire', session)
    const [first, second] = [outcome, await other]
    const choice = this.#random()
    if (first === 'unknown' && choice < 0.4) outcome = await this.#ask('acquire', session)
    else if (first === 'unknown' && choice < 0.8) await this.#ask('release', session)
    if (
      [outcome, second].some((one) => one === 'admitted' || one === 'refreshed') &&
      this.#random() > 0.01
    ) {
      this.#held.push({ session, grantedAt })
    }
  }

  async #giveBack (held: Held): Promise<void> {
    this.#forget(held)
    const outcome = await this.#ask('release', held.session)
    if (outcome === 'unknown' && this.#random() < 0.5) await this.#ask('release', held.session)
    // What comes late must not bring it back.
    if (this.#random() < 0.02) {
      await this.#ask(this.#random() < 0.5 ? 'acquire' : 'renew', held.session)
    }
  }

  #forget (held: Held): void {
    this.#held.splice(this.#held.indexOf(held), 1)
  }

  /**
   * One operation on any of the instances, noted in the history; sometimes given up before the
   * answer.
   */
  async #ask (kind: Kind, session: number, connections = this.#connections): Promise<Outcome> {
    if (this.#history.isFull) return 'not sent'
    const connection = this.#anyOf(connections)
    const [method, path, body] = this.#request(kind, session)
    const at = this.#history.begin(kind, session, performance.now())
    const giveUp =
      this.#random() < 0.003 ? setTimeout(() => connection.abort(), this.#random() * 4) : undefined
    let outcome: Outcome = 'unknown'
    try {
      outcome = this.#outcomeOf(kind, await connection.request(method, path, body))
    } catch (error) {
      if (error instanceof NotSent) {
        outcome = 'not sent'
        this.#away.set(connection, performance.now() + 200)
      }
    }
    this.#history.end(at, outcome, performance.now())
    clearTimeout(giveUp)
    return outcome
  }

  /** Any instance but those at which nobody listened just now. */
  #anyOf (connections: Connection[]): Connection {
    const now = performance.now()
    const up = connections.filter((connection) => (this.#away.get(connection) ?? 0) < now)
    const choice = up.length > 0 ? up : connections
    return choice[Math.floor(this.#random() * choice.length)] as Connection
  }

  #request (kind: Kind, session: number): [method: string, path: string, body: object] {
    const [username, ttl] = [userName(this.#history.userOf(session)), this.#race.ttlSeconds]
    if (kind === 'acquire') {
      return [
        'POST',
        '/api/sessions',
        { username, session_id: `r${session}`, ttl, node: `n${session % 3}` }
      ]
    }
    if (kind === 'renew') return ['POST', `/api/sessions/r${session}/renew`, { username, ttl }]
    return ['DELETE', `/api/sessions/r${session}?username=${username}`, {}]
  }

  #outcomeOf (kind: Kind, { status, body }: RawAnswer): Outcome {
    // What came of it, nobody knows for certain.
    if (body.includes('"degraded":true') || body.includes('"store_unavailable"')) {
      this.#remarks.withoutRedis++
      return 'unknown'
    }
    const outcome = outcomeOf(kind, status, body)
    if (outcome === undefined && this.#remarks.odd.length < 20) {
      this.#remarks.odd.push(`${kind}: ${status} ${body.slice(0, 200)}`)
    }
    return outcome ?? 'unknown'
  }
}

/** What an answer says of an operation; undefined for one that fits none. */
function outcomeOf (kind: Kind, status: number, body: string): Outcome | undefined {
  if (status === 410 && kind !== 'release') return 'ended'
  if (kind === 'acquire' && status === 201) return 'admitted'
  if (kind === 'acquire' && status === 200) return 'refreshed'
  if (kind === 'acquire' && status === 409 && body.includes('session_limit_reached')) {
    return 'refused'
  }
  if (kind === 'renew' && status === 200) {
    return body.includes('"reregistered":true') ? 'reregistered' : 'renewed'
  }
  if (kind === 'release' && status === 200) {
    return body.includes('"released":true') ? 'released' : 'not up'
  }
  return undefined
}

/** The name of a user, by number. */
export function userName (user: number): string {
  return `racer-${user}`
}
