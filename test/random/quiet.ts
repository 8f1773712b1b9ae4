/** What is checked when all replicas are well, and nothing is asked but by the check itself. */
import { leasesOf } from '../helpers/leases.ts'
import { waitFor } from '../helpers/wait.ts'
import { Callers, LIMIT, type OwnCall, USERS } from './callers.ts'
import {
  endedAtMs,
  excuseBack,
  excuseMissing,
  type Findings,
  lingersMs,
  standing,
  type Standing
} from './checker.ts'
import type { Dice } from './dice.ts'
import type { Scene } from './faults.ts'
import type { Replica } from './replicas.ts'
import { type Expected, readViews, type View, wrongIn } from './views.ts'

/** How many sessions are released by their id, and asked for once more, at each quiet point. */
const SAMPLE = 4
/** How many ended sessions are looked for by their id, besides in every list. */
const ENDED_SAMPLE = 30

export class Quiet {
  #scene: Scene
  #callers: Callers
  #found: Findings
  #dice: Dice
  /** Sessions about which something was found: it is said once. */
  #spoilt = new Set<string>()

  constructor (scene: Scene, callers: Callers, found: Findings, dice: Dice) {
    this.#scene = scene
    this.#dice = dice
    this.#callers = callers
    this.#found = found
  }

  /** All views, before and after each session is renewed, and what can be done about sessions. */
  async check (): Promise<void> {
    await this.#sweep()
    for (const replica of this.#scene.replicas) await this.#views(replica, 'as they are')
    const settled = await this.#endAgain()
    for (const call of this.#up()) {
      settled.add(call.id)
      await this.#callers.renew(call)
      const last = call.operations.at(-1)
      if (last?.outcome !== 'ok' || last.degraded) this.#breaks('a renewal fails', call)
    }
    await this.#views(this.#dice.of(this.#scene.replicas), 'renewed', settled)
    await this.#holdOn()
    await this.#release()
    await this.#admit()
  }

  /**
   * Replicas do it by themselves, a few seconds later: where Redis has lost whose a session was
   * that ended, its lease stands until then.
   */
  async #sweep (): Promise<void> {
    const replica = this.#dice.of(this.#scene.replicas)
    const { status } = await replica.ask('POST', '/api/sessions/sweep')
    if (status !== 200) throw new Error(`the sweep says ${status}`)
  }

  #up (): OwnCall[] {
    return this.#callers.idle('up').filter(({ isLeft, id }) => !isLeft && !this.#spoilt.has(id))
  }

  #breaks (what: string, call: OwnCall): void {
    if (this.#spoilt.has(call.id)) return
    this.#spoilt.add(call.id)
    this.#found.breaks(what, call)
  }

  /**
   * The views of one replica. It may notice only now what befell Redis before: then it says so
   * itself, and is asked once more when it is well. Whoever is degraded while it says that it is
   * well has found something.
   */
  async #look (replica: Replica, calls: OwnCall[]): Promise<View[]> {
    const read = async () => await readViews(replica.ask, this.#sought(calls))
    const views = await read().catch((error: unknown) => error as Error)
    const areSound = Array.isArray(views) && views.every(({ trouble }) => trouble === undefined)
    const isWell = areSound || (await replica.saysWell().catch(() => false))
    if (!isWell) {
      await waitFor(async () => await replica.isWell(USERS), {
        what: `${replica.process} to be well again`,
        deadlineMs: 60_000
      })
      return await read()
    }
    if (!Array.isArray(views)) throw views
    return views
  }

  /**
   * Compares the views of one replica, and what Redis holds, with what callers were told.
   * @param certain - those for which there is no excuse
   */
  async #views (replica: Replica, when: string, certain = new Set<string>()): Promise<void> {
    const calls = [...this.#callers.calls.values()]
    const fromMs = performance.now()
    const views = await this.#look(replica, calls)
    const leases = await leasesOf(...(await this.#scene.deployment.masters()))
    const ids = [...leases].map((lease) => lease.split(' ')[1] ?? '')
    views.push({ name: 'leases in Redis', ids, isAbout: () => true })
    const toMs = performance.now()
    const isUp = new Set(ids)
    const expected = calls.map((call) => {
      const one = this.#expect(call, [fromMs, toMs])
      const excuse = this.#excuse(call, one.standing, toMs)
      if (excuse === undefined || certain.has(call.id)) return one
      if ((one.standing === 'up') !== isUp.has(call.id)) this.#found.excuse(excuse, call)
      return { ...one, standing: 'either' as const }
    })
    for (const { view, what, id } of wrongIn(views, expected)) {
      const call = this.#callers.calls.get(id ?? '') ?? lastOf(calls, view)
      if (call === undefined) throw new Error(`${view} ${what}: ${id}`)
      this.#breaks(`${when}, at ${replica.process}: ${view} ${what}`, call)
    }
  }

  /** Those that are looked for by their id. */
  #sought (calls: OwnCall[]): Expected[] {
    const now = performance.now()
    const gone = calls.filter((call) => this.#standing(call, now) === 'gone')
    const some = new Set(this.#dice.some(gone, ENDED_SAMPLE))
    return calls
      .filter((call) => some.has(call) || this.#standing(call, now) !== 'gone')
      .map((call) => this.#expect(call, [now, now]))
  }

  #expect (call: OwnCall, [fromMs, toMs]: [number, number]): Expected {
    const { id, username, node } = call
    const is = this.#spoilt.has(id) ? 'either' : this.#standing(call, fromMs, toMs)
    return { id, username, node, standing: is }
  }

  #standing (call: OwnCall, fromMs: number, toMs = fromMs): Standing {
    return standing(call, fromMs, toMs, lingersMs(call, this.#scene.world))
  }

  /** Why a session need not be as it should. */
  #excuse (call: OwnCall, is: Standing, nowMs: number): string | undefined {
    const { world } = this.#scene
    if (is === 'up') return excuseMissing(call, world, nowMs)
    return is === 'gone' && endedAtMs(call) < Infinity ? excuseBack(call, world) : undefined
  }

  /**
   * Ends once more what may be back for a reason.
   * @returns the ids
   */
  async #endAgain (): Promise<Set<string>> {
    const { world } = this.#scene
    const back = this.#callers.idle('ended').filter((call) => excuseBack(call, world) !== undefined)
    for (const call of back) await this.#callers.release(call)
    return new Set(back.map(({ id }) => id))
  }

  /** Whoever holds a slot holds it at the limit, too. */
  async #holdOn (): Promise<void> {
    for (const call of this.#dice.some(this.#up(), SAMPLE)) {
      const { outcome, note, degraded } = await this.#callers.acquireAgain(call)
      if (outcome !== 'ok' || degraded || !note.startsWith('200')) {
        this.#breaks('asked for again, it does not hold its slot', call)
      }
    }
  }

  async #release (): Promise<void> {
    for (const call of this.#dice.some(this.#up(), SAMPLE)) {
      const { outcome, note, degraded } = await this.#callers.release(call)
      if (outcome !== 'ok' || degraded || !note.includes('"released":true')) {
        this.#breaks('released by its id alone, it is not', call)
      }
    }
  }

  /** A user has as many slots as the limit leaves. */
  async #admit (): Promise<void> {
    for (const user of USERS) {
      const own = [...this.#callers.calls.values()].filter(({ username }) => username === user)
      const now = performance.now()
      const up = own.map((call) => this.#standing(call, now, now + 2000))
      if (up.includes('either') || own.some(({ id }) => this.#spoilt.has(id))) continue
      const count = up.filter((each) => each === 'up').length
      const call = await this.#callers.acquire(user)
      const wanted = count < LIMIT ? 'ok' : 'refused'
      const { outcome } = call.operations[0] ?? {}
      if (outcome !== wanted) this.#breaks(`beside ${count}, an acquire is ${outcome}`, call)
      if (call.state === 'up') await this.#callers.release(call)
    }
  }
}

/** A call of the user that a view is about, to tell what happened; any where there is none. */
function lastOf (calls: OwnCall[], view: string): OwnCall | undefined {
  return calls.findLast(({ username }) => view.split(' ').includes(username)) ?? calls.at(-1)
}
