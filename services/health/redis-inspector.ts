/** Finds out what Redis is set to that costs data or answers, and says so in the warnings. */
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { deniedCommand } from '../redis/replies.ts'
import { repeat, type Repeated } from '../util/repeat.ts'
import type { Warnings } from './warnings.ts'

/** How often the settings of Redis are looked at, in milliseconds. */
const EVERY_MS = 15_000

/** What inspect.lua answers. */
type Inspected = [evictionPolicy: string, mode: string, ...refused: string[]]

/** Looks at every master now and then. What admissions are refused, it is told by the probe. */
export class RedisInspector {
  #executor: RedisExecutor
  #keys: RedisKeys
  #warnings: Warnings
  #inspecting: Repeated | undefined
  #refusedProbe: string[] = []
  #refusedOthers: string[] = []

  constructor (executor: RedisExecutor, keys: RedisKeys, warnings: Warnings) {
    this.#executor = executor
    this.#keys = keys
    this.#warnings = warnings
  }

  /** Looks now and from then on. Resolves after the first look, whatever came of it. */
  async start (): Promise<void> {
    this.#inspecting = repeat({
      work: async () => await this.#inspect(),
      // The probe tells of a Redis that does not answer.
      onError: () => {},
      everyMs: EVERY_MS
    })
    await this.#inspecting.first
  }

  stop (): void {
    this.#inspecting?.stop()
  }

  /** Takes which commands a probe was refused; none when all is well. */
  probed (refused: string[]): void {
    if (refused.length === 0 && this.#refusedProbe.length === 0) return
    this.#refusedProbe = refused
    this.#warnOfRights()
  }

  /** Takes what a probe failed with: it may say which command the service has no right to. */
  failed (error: unknown): void {
    const command = deniedCommand(error)
    if (command !== undefined) this.probed([command])
  }

  async #inspect (): Promise<void> {
    const { executor, keys } = { executor: this.#executor, keys: this.#keys }
    const seen = (await executor.run(
      Promise.all(keys.probes.map(async (key) => await executor.scripts.inspect([key], [])))
    )) as Inspected[]
    this.#warnIf(
      seen.some(([policy]) => policy !== '' && policy !== 'noeviction'),
      'redis_eviction',
      'Redis is set to drop data when its memory is full, and leases, limits and the policy may ' +
        'vanish. Set maxmemory-policy to noeviction.'
    )
    this.#warnIf(
      !executor.isCluster && seen.some(([, mode]) => mode === 'cluster'),
      'redis_cluster',
      'Redis is a node of a Cluster, and refuses most users here. Name the nodes of the Cluster ' +
        'in REDIS_CLUSTER_NODES instead of setting REDIS_URL or REDIS_HOST.'
    )
    this.#refusedOthers = seen.flatMap(([, , ...refused]) => refused)
    this.#warnOfRights()
  }

  #warnOfRights (): void {
    const refused = [...new Set([...this.#refusedProbe, ...this.#refusedOthers])].sort()
    const rights = refused.map((command) => `+${command}`).join(' ')
    this.#warnIf(
      refused.length > 0,
      'redis_rights',
      `The Redis user lacks rights, and what needs them is not served by Redis. Grant ${rights}.`
    )
  }

  #warnIf (holds: boolean, code: string, text: string): void {
    if (holds) this.#warnings.raise(code, text)
    else this.#warnings.clear(code)
  }
}
