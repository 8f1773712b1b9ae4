/**
 * Watches the dependencies in the background, so that a probe is answered at once from what is
 * known.
 */
import type { ComponentHealth, Health } from '../../schemas/health.ts'
import { repeatLater, type Repeated } from '../util/repeat.ts'
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
}

/** The dependencies by name; null is not configured. */
export type Dependencies = Record<keyof Health['components'], Dependency | null>

/** Knows how the dependencies are. Probes read it; nothing they do reaches a dependency. */
export class HealthMonitor {
  #watches: Record<keyof Health['components'], Watch | null>
  #draining = false
  #onChange: (name: string, status: ComponentHealth['status']) => void

  /** @param onChange - told when a dependency is lost or comes back */
  constructor (
    dependencies: Dependencies,
    onChange: (name: string, status: ComponentHealth['status']) => void = () => {}
  ) {
    this.#onChange = onChange
    this.#watches = {
      redis:
        dependencies.redis &&
        new Watch(dependencies.redis, (status) => this.#onChange('redis', status)),
      etcd:
        dependencies.etcd &&
        new Watch(dependencies.etcd, (status) => this.#onChange('etcd', status))
    }
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
    const status =
      this.#draining || lost.some((watch) => watch?.required)
        ? 'down'
        : lost.length > 0
          ? 'degraded'
          : 'ok'
    return { status, components: { redis: componentOf(redis), etcd: componentOf(etcd) } }
  }
}

function componentOf (watch: Watch | null): ComponentHealth {
  return watch === null ? { status: 'disabled', latency_ms: null } : watch.component
}

/** Looks at one dependency again and again, and decides when it is lost and when it is back. */
class Watch {
  readonly required: boolean
  /** As last seen. */
  component: ComponentHealth = { status: 'down', latency_ms: null }
  /** Whether it counts as lost: with the hysteresis that a single look lacks. */
  lost = false
  #check: Check
  #onChange: (status: ComponentHealth['status']) => void
  #sameSince = 0
  #looking: Repeated | undefined

  constructor (
    { check, required }: Dependency,
    onChange: (status: ComponentHealth['status']) => void
  ) {
    this.#check = check
    this.required = required
    this.#onChange = onChange
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
      everyMs: CHECK_INTERVAL_MS
    })
  }

  stop (): void {
    this.#looking?.stop()
  }

  async #look (): Promise<void> {
    const started = performance.now()
    const signal = AbortSignal.timeout(CHECK_DEADLINE_MS)
    const late = new Promise<never>((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    )
    const latencyMs = await Promise.race([this.#asked(signal), late]).then(
      (known) => known ?? performance.now() - started,
      () => null
    )
    const status = latencyMs === null ? 'down' : 'up'
    if (status !== this.component.status) {
      this.#sameSince = status === 'up' ? performance.now() : started
    }
    const rounded = latencyMs === null ? null : Math.round(latencyMs * 100) / 100
    this.component = { status, latency_ms: rounded }
  }

  /** The check's verdict; one that throws at once rejects like any other. */
  async #asked (signal: AbortSignal): Promise<number | void> {
    return await this.#check(signal)
  }

  #decide (): void {
    const forMs = performance.now() - this.#sameSince
    const down = this.component.status === 'down'
    if (down === this.lost || forMs < (down ? LOST_AFTER_MS : BACK_AFTER_MS)) return
    this.lost = down
    this.#onChange(this.component.status)
  }
}
