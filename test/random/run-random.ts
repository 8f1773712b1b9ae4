/** Faults at random under load; all views are compared whenever it is quiet. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { waitFor } from '../helpers/wait.ts'
import { Callers, LIMIT, USERS } from './callers.ts'
import { calmWorld, checkCall, checkLimit, endedAtMs, Findings } from './checker.ts'
import { type Deployment, REPLICAS } from './deployments.ts'
import { Dice } from './dice.ts'
import { BESIDE, type Fault, faultsOf, type Scene } from './faults.ts'
import { told } from './history.ts'
import { Quiet } from './quiet.ts'
import { Replica } from './replicas.ts'

/** For how long it has to be well again, in milliseconds. */
const WELL_WITHIN_MS = 60_000
/** How long a call that is over is looked for. */
const LOOKED_FOR_MS = 120_000
/** A run ends when it has found so much. */
const MOST_BROKEN = 10

/**
 * Starts the service beside its deployment, and lets the dice fall until the time is over.
 * RANDOM_SECONDS says for how long; RANDOM_SEED repeats the choices, though not to the millisecond.
 */
export async function runRandom (t: Test, start: (t: Test) => Promise<Deployment>): Promise<void> {
  const { RANDOM_SECONDS = 1800, RANDOM_SEED = randomInt(2 ** 30) } = process.env
  const [seed, seconds] = [Number(RANDOM_SEED), Number(RANDOM_SECONDS)]
  const deployment = await start(t)
  t.comment(`${deployment.name}: RANDOM_SEED=${seed} RANDOM_SECONDS=${seconds}`)
  const replicas: Replica[] = []
  for (let i = 0; i < REPLICAS; i++) {
    replicas.push(await Replica.start(t, `r${i}`, {
      ...deployment.settings(i),
      MAX_SESSIONS_PER_USER: String(LIMIT),
      REDIS_TIMEOUT_MS: '500',
      GHOST_SWEEP_INTERVAL_SECONDS: '5'
    }))
  }
  const run = new Run(t, deployment, replicas, seed)
  const endMs = performance.now() + seconds * 1000
  while (performance.now() < endMs && run.found.broken.length < MOST_BROKEN) await run.round()
  run.conclude()
}

class Run {
  readonly found = new Findings()
  #t: Test
  #scene: Scene
  #callers: Callers
  #quiet: Quiet
  #faults: Fault[]
  #startedMs = performance.now()
  #struck: string[] = []

  constructor (t: Test, deployment: Deployment, replicas: Replica[], seed: number) {
    const world = calmWorld()
    this.#t = t
    this.#callers = new Callers(replicas, new Dice(seed), 's')
    const up = () => this.#callers.idle('up').filter(({ isLeft }) => !isLeft)
    this.#scene = { deployment, replicas, dice: new Dice(seed + 1), world, up }
    this.#quiet = new Quiet(this.#scene, this.#callers, this.found, new Dice(seed + 2))
    this.#faults = faultsOf(deployment)
  }

  /** Calm, a fault under load, and a quiet point. */
  async round (): Promise<void> {
    const { dice, replicas } = this.#scene
    await this.#whole()
    const fromMs = performance.now()
    this.#callers.start()
    await sleep(dice.between(1000, 2500))
    const calm = { fromMs, toMs: performance.now() }
    const heals: Array<() => unknown> = []
    const faults = dice.happens(0.25) ? [dice.of(BESIDE)] : []
    for (const fault of [dice.of(this.#faults), ...faults]) {
      const { what, heal } = await fault(this.#scene)
      heals.push(heal)
      this.#note(what)
      await sleep(dice.of([100, 700, 2000, 4000]))
    }
    for (const heal of heals.reverse()) await heal()
    await sleep(2000)
    await this.#callers.stop()
    await this.#whole()
    await waitFor(
      async () => (await Promise.all(replicas.map((one) => one.isWell(USERS)))).every(Boolean),
      { what: `all replicas to be well after ${this.#struck.at(-1)}`, deadlineMs: WELL_WITHIN_MS }
    )
    await this.#callers.settle()
    this.#scene.world.quietMs.push(performance.now())
    this.#check(fromMs, calm)
    await this.#quiet.check()
    this.#report()
    const now = performance.now()
    this.#callers.forget((call) => endedAtMs(call) < now - LOOKED_FOR_MS)
  }

  async #whole (): Promise<void> {
    const { isWhole } = this.#scene.deployment
    await waitFor(isWhole, {
      what: 'the servers to be whole',
      deadlineMs: WELL_WITHIN_MS,
      everyMs: 200
    })
  }

  #check (sinceMs: number, calm: { fromMs: number; toMs: number }): void {
    const { calls } = this.#callers
    for (const call of calls.values()) checkCall(call, this.#scene.world, sinceMs, this.found)
    for (const user of USERS) {
      const own = [...calls.values()].filter(({ username }) => username === user)
      checkLimit(own, LIMIT, calm, this.found, this.#scene.world)
    }
  }

  #note (what: string): void {
    const at = ((performance.now() - this.#startedMs) / 1000).toFixed(1)
    this.#struck.push(what)
    this.#t.comment(`${at} s: ${what}`)
  }

  #reported = 0

  /** Says what is new, while it can still be seen what happened before. */
  #report (): void {
    for (const { what, call } of this.found.broken.slice(this.#reported)) {
      this.#t.comment(`BROKEN ${what}: ${told(call, this.#startedMs)}`)
    }
    this.#reported = this.found.broken.length
  }

  conclude (): void {
    const { requests } = this.#callers
    const { broken, excused } = this.found
    this.#t.comment(`${this.#struck.length} faults`, Object.fromEntries(requests.tally))
    for (const [why, ids] of excused) this.#t.comment(`excused ${ids.size} by ${why}`)
    this.#t.strictSame(requests.odd.slice(0, 10), [], 'no answer was odd')
    this.#t.equal(broken.length, 0, 'no promise was broken')
  }
}
