import { hangUp, reported } from '../conformance/words.ts'
import { deepStrictEqual } from 'node:assert/strict'
import type { Details, Lease } from '../../services/sessions/lease.ts'
import type { RenewRequest, TerminateResult } from '../../services/sessions/session-store.ts'
import { type Command, GRID_MS, IDS, type RenewItem, USERS } from './commands.ts'
import { type Call, Model } from './model.ts'
import type { Subject } from './subject.ts'

/**
 * Does the same to the model and to a store, and rejects at the first difference, naming the
 * command it came after.
 */
export async function runSequence (commands: Command[], subject: Subject): Promise<void> {
  const driver = new Driver(subject)
  for (const [i, command] of commands.entries()) {
    await during(`${i}: ${JSON.stringify(command)}`, async () => {
      await driver.step(command)
      await driver.compareCounts()
    })
  }
  await during('the end', async () => await driver.compareAll())
}

class Driver {
  #model = new Model()
  #subject: Subject

  constructor (subject: Subject) {
    this.#subject = subject
  }

  async step (command: Command): Promise<void> {
    const [model, { sessions, limits, policy }] = [this.#model, this.#subject]
    switch (command.do) {
      case 'acquire': {
        const { user: username, id: sessionId, attempt, ttlMs, node, details, dryRun } = command
        const request = { username, sessionId, attempt, ttlMs, node, details, dryRun }
        const got = await sessions.acquire(request)
        return this.#equal(got, model.acquire(command))
      }
      case 'renew':
        return this.#equal(
          (await sessions.renew(command.items.map(toRequest), command.ttlMs)).map((result) =>
            'lease' in result ? { outcome: result.outcome, lease: result.lease() } : result
          ),
          model.renew(command)
        )
      case 'release':
        return this.#equal(
          await sessions.release(hangUp(command.id, command.user, { attempt: command.attempt })),
          model.release(command)
        )
      case 'reconcile': {
        const { node, epoch, ttlMs, items, asOfAgoMs } = command
        const asOfMs =
          asOfAgoMs === null
            ? Number.MAX_SAFE_INTEGER
            : this.#subject.storeTime(model.now - asOfAgoMs)
        const got = await sessions.reconcileNode(reported({
          node,
          epoch,
          ttlMs,
          sessions: items.map(toRequest),
          asOfMs
        }))
        this.#equal(got, model.reconcile(command))
        for (const call of model.up()) {
          if (call.exactStart === undefined) this.#equal(await sessions.getSession(call.id), call)
        }
        return
      }
      case 'terminate':
        return this.#equal(
          sorted(
            await sessions.terminateUser(command.user, 'by an operator', command.includeEmergency)
          ),
          model.terminate(command)
        )
      case 'limit':
        return this.#equal(
          command.limit === null
            ? await limits.removeLimit(command.user)
            : await limits.setLimit(command.user, command.limit),
          model.setLimit(command)
        )
      case 'temporary': {
        const ends = await limits.setTemporaryLimit(command.user, {
          limit: command.limit,
          duration: command.seconds
        })
        return this.#equal(this.#onGrid(ends), model.setTemporary(command))
      }
      case 'end temporary':
        return this.#equal(
          await limits.removeTemporaryLimit(command.user),
          model.endTemporary(command)
        )
      case 'bar': {
        const { user, seconds } = command
        const until = seconds === null ? undefined : model.now + seconds * 1000
        const expiresMs = until === undefined ? undefined : this.#subject.storeTime(until)
        const got = await limits.setBar(user, { reason: 'bar', expiresMs })
        return this.#equal(got, model.setBar(command))
      }
      case 'end bar':
        return this.#equal(await limits.removeBar(command.user), model.endBar(command))
      case 'policy':
        if (Object.keys(command.change).length > 0) await policy.update(command.change)
        model.policy = { ...model.policy, ...command.change }
        return this.#equal(policy.current, model.policy)
      case 'wait':
        await this.#subject.pass(command.ms)
        model.now += command.ms
    }
  }

  async compareCounts (): Promise<void> {
    const counts = await Promise.all(
      USERS.map(async (user) => await this.#subject.sessions.getCount(user))
    )
    this.#equal(
      counts,
      USERS.map((user) => this.#model.countOf(user))
    )
  }

  /** Everything that can be seen from outside. */
  async compareAll (): Promise<void> {
    const [model, { sessions, limits }] = [this.#model, this.#subject]
    const page = { cursor: '', count: 1000 }
    for (const user of USERS) {
      const { entries } = await sessions.listSessions({ username: user }, page)
      this.#equal(
        entries.sort((a, b) => (a.sessionId < b.sessionId ? -1 : 1)),
        model.up(user).sort((a, b) => (a.id < b.id ? -1 : 1))
      )
      const { limit, source, expiresAtMs: end, bar } = await limits.getLimit(user)
      this.#equal(bar !== undefined, model.barOf(user) !== undefined)
      this.#equal(
        { limit, source, until: end === undefined ? null : this.#onGrid(end) },
        model.limitOf(user)
      )
    }
    const found = await Promise.all(IDS.map(async (id) => await sessions.getSession(id)))
    this.#equal(
      found,
      IDS.map((id) => model.up().find((call) => call.id === id) ?? null)
    )
    const nodes = (await sessions.listNodes(page)).entries.sort((a, b) =>
      a.node < b.node ? -1 : 1
    )
    this.#equal(
      nodes.map((node) => ({ ...node, lastSeenMs: this.#onGrid(node.lastSeenMs) })),
      model.nodes()
    )
  }

  /**
   * The same in all that the model says, times as far as they can be: the start of a call that is
   * known is known to the millisecond.
   */
  #equal (got: unknown, wanted: unknown): void {
    this.#learnStarts(got)
    const [seen, plain] = [this.#plain(got), this.#plain(wanted)]
    if (!agrees(seen, plain)) deepStrictEqual(seen, plain)
  }

  /**
   * What the store says of when new calls began: its clock runs on between two commands, the
   * model's does not.
   */
  #learnStarts (got: unknown): void {
    for (const one of [got].flat()) {
      const { lease = one } = (one ?? {}) as { lease?: unknown }
      if (!isLease(lease)) continue
      const call = this.#model.up().find(({ id }) => id === lease.sessionId)
      if (call === undefined || call.user !== lease.username) continue
      const start = this.#subject.sinceStart(lease.startedMs)
      call.exactStart ??= start
      if (call.exactStart !== start) {
        throw new Error(`${call.id} began at ${call.exactStart} ms, and now at ${start} ms`)
      }
    }
  }

  #plain (value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#plain(item))
    if (isLease(value)) {
      return {
        ...value,
        details: plainDetails(value.details),
        startedMs: this.#start(this.#subject.sinceStart(value.startedMs)),
        expiresMs: this.#onGrid(value.expiresMs)
      }
    }
    if (isCall(value)) {
      return {
        ...toLease(value),
        startedMs: this.#start(value.exactStart ?? value.start),
        expiresMs: value.until
      }
    }
    if (typeof value === 'object' && value !== null && 'lease' in value) {
      return { ...value, lease: this.#plain(value.lease) }
    }
    return value
  }

  #start (ms: number) {
    return this.#subject.driftMs === 0 ? ms : this.#floor(ms)
  }

  #onGrid (ms: number): number {
    return this.#subject.driftMs === 0
      ? this.#subject.sinceStart(ms)
      : this.#floor(this.#subject.sinceStart(ms))
  }

  /** A time without what the commands themselves took. */
  #floor (ms: number): number {
    const floor = Math.floor(ms / GRID_MS) * GRID_MS
    if (ms - floor > this.#subject.driftMs) {
      throw new Error(`the sequence took too long, or a time is off: ${ms} ms`)
    }
    return floor
  }
}

function sorted ({ terminated, spared }: TerminateResult) {
  return { terminated: terminated.sort(), spared: spared.sort() }
}

function toRequest ({ user: username, id: sessionId, node, attempt }: RenewItem): RenewRequest {
  return { username, sessionId, attempt, ...(node !== undefined && { node }) }
}

function toLease ({ user: username, id: sessionId, node, details, attempt }: Call) {
  return { sessionId, username, attempt, node: node ?? '', details: plainDetails(details) }
}

/** Details without what makes no difference to whoever reads them. */
function plainDetails ({ from, direction, emergency = false, metadata = {} }: Details) {
  return { from, direction, emergency, metadata }
}

function isLease (value: unknown): value is Lease {
  return typeof value === 'object' && value !== null && 'expiresMs' in value && 'details' in value
}

function isCall (value: unknown): value is Call {
  return typeof value === 'object' && value !== null && 'exactStart' in value
}

/** Whether a store says all that the model says; what it says besides is its own. */
function agrees (got: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return got === wanted
  if (typeof got !== 'object' || got === null) return false
  if (Array.isArray(wanted) && wanted.length !== (got as unknown[]).length) return false
  for (const name in wanted) if (!agrees(got[name as never], wanted[name as never])) return false
  return true
}

async function during (what: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    throw new Error(`after ${what}\n${(error as Error).message}`, { cause: error })
  }
}
