/**
 * Watches the dependencies in the background, so that a probe is answered at once from what is
 * known.
 */
import type { ComponentHealth, Health } from '../../schemas/health.ts'
import { repeatLater, systemTimer, type Repeated, type Timer } from '../util/repeat.ts'
import type { Check } from './check.ts'

/** How often each dependency is looked at, in milliseconds. */
export const CHECK_INTERVAL_MS = 250
/** How long one look may take, in milliseconds. */
export const CHECK_DEADLINE_MS = 500
/**
 * A dependency counts as lost only after failing for this long, in milliseconds: a blink is not an
 * outage.
 */
export const LOST_AFTER_MS = 800
/** A lost dependency counts as back only after being well for this long, in milliseconds. */
export const BACK_AFTER_MS = 1_000

/** A dependency: how to look at it, and whether the service is ready without it. */
export interface Dependency {
  check: Check
  required: boolean
  /** Whether some callers get less than it promises though it is up; asked when health is read. */
  isPartial?: () => boolean
}

/** The dependencies by name; null is not configured. */
export type Dependencies = Record<keyof Health['components'], Dependency | null>

/** The time that a monitor goes by. */
export interface HealthTiming {
  /** Milliseconds on a clock that only goes forward. */
  now: () => number
  timer: Timer
}

const SYSTEM_TIMING: HealthTiming = { now: () => performance.now(), timer: systemTimer }

/** Knows how the dependencies are. Probes read it; nothing they do reaches a dependency. */
export class HealthMonitor {
  #watches: Record<keyof Health['components'], Watch | null>
  #draining = false
  #onChange: (name: string, status: ComponentHealth['status']) => void

  /** @param onChange - told when a dependency is lost or comes back */
  constructor (
    dependencies: Dependencies,
    onChange: (name: string, status: ComponentHealth['status']) => void = () => {},
    timing = SYSTEM_TIMING
  ) {
    this.#onChange = onChange
    const watch = (name: keyof Health['components']) => {
      const dependency = dependencies[name]
      return dependency && new Watch(dependency, (status) => this.#onChange(name, status), timing)
    }
    this.#watches = { redis: watch('redis'), etcd: watch('etcd') }
  }

  /**
   * Looks at every dependency once, then goes on doing so. Resolves after the first look, whatever
   * it saw.
   */
  async start (): Promise<void> {
    await Promise.all(Object.values(this.#watches).map(async (watch) => await watch?.start()))
  }

  stop (): void {
    for (const watch of Object.values(this.#watches)) watch?.stop()
  }

  /** From now on the service is not ready: it is about to stop. */
  drain (): void {
    this.#draining = true
  }

  /** How things are now, as last seen. */
  get health (): Health {
    const { redis, etcd } = this.#watches
    const lost = [redis, etcd].filter((watch) => watch?.lost === true)
    const isPartial = [redis, etcd].some((watch) => watch?.isPartial === true)
    const status =
      this.#draining || lost.some((watch) => watch?.required)
        ? 'down'
        : lost.length > 0 || isPartial
          ? 'degraded'
          : 'ok'
    return { status, components: { redis: componentOf(redis), etcd: componentOf(etcd) } }
  }
}

function componentOf (watch: Watch | null): ComponentHealth {
  if (watch === null) return { status: 'disabled', latency_ms: null }
  const { component, isPartial } = watch
  return component.status === 'up' && isPartial ? { ...component, status: 'partial' } : component
}

/** Looks at one dependency again and again, and decides when it is lost and when it is back. */
class Watch {
  readonly required: boolean
  /** As last seen. */
  component: ComponentHealth = { status: 'down', latency_ms: null }
  /** Whether it counts as lost: with the hysteresis that a single look lacks. */
  lost = false
  #check: Check
  #isPartial: () => boolean
  #onChange: (status: ComponentHealth['status']) => void
  #timing: HealthTiming
  #sameSince = 0
  #looking: Repeated | undefined

  constructor (
    { check, required, isPartial = () => false }: Dependency,
    onChange: (status: ComponentHealth['status']) => void,
    timing: HealthTiming
  ) {
    this.#check = check
    this.required = required
    this.#isPartial = isPartial
    this.#onChange = onChange
    this.#timing = timing
  }

  get isPartial (): boolean {
    return this.#isPartial()
  }

  async start (): Promise<void> {
    await this.#look()
    this.lost = this.component.status === 'down'
    if (this.lost) this.#onChange('down')
    this.#looking = repeatLater({
      work: async () => {
        await this.#look()
        this.#decide()
      },
      onError: () => {},
      everyMs: CHECK_INTERVAL_MS,
      timer: this.#timing.timer
    })
  }

  stop (): void {
    this.#looking?.stop()
  }

  async #look (): Promise<void> {
    const { now, timer } = this.#timing
    const started = now()
    const late = new AbortController()
    const callOff = timer(() => late.abort(new Error('no answer in time')), CHECK_DEADLINE_MS)
    const latencyMs = await this.#askedUntil(late.signal).then(
      (known) => known ?? now() - started,
      () => null
    )
    callOff()
    const status = latencyMs === null ? 'down' : 'up'
    if (status !== this.component.status) {
      this.#sameSince = status === 'up' ? now() : started
    }
    const rounded = latencyMs === null ? null : Math.round(latencyMs * 100) / 100
    this.component = { status, latency_ms: rounded }
  }

  /** The check's verdict; a check that does not heed the signal is left behind. */
  async #askedUntil (signal: AbortSignal): Promise<number | void> {
    const aborted = new Promise<never>((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    )
    return await Promise.race([this.#check(signal), aborted])
  }

  #decide (): void {
    const forMs = this.#timing.now() - this.#sameSince
    const down = this.component.status === 'down'
    if (down === this.lost || forMs < (down ? LOST_AFTER_MS : BACK_AFTER_MS)) return
    this.lost = down
    this.#onChange(this.component.status)
  }
}
