/** Counts answers and their latencies while counting is on. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Latency } from './load-types.ts'

/** Answers so far. */
export class Tally {
  counting = false
  requests = 0
  statuses: Record<string, number> = {}
  samples: string[] = []
  oddAnswer: string | undefined
  #all = createHistogram()
  #each: RecordableHistogram[]

  constructor (templates: number) {
    this.#each = Array.from({ length: templates }, () => createHistogram())
  }

  /** Notes an answer to the given template. */
  note (template: number, status: number, latencyMs: number, text: () => string): void {
    if (!this.counting) return
    this.requests++
    this.statuses[status] = (this.statuses[status] ?? 0) + 1
    this.samples[template] ??= text()
    if (status >= 300) this.oddAnswer ??= text().slice(0, 500)
    const latencyUs = Math.max(1, Math.round(latencyMs * 1000))
    this.#all.record(latencyUs)
    this.#each[template]?.record(latencyUs)
  }

  /** Percentiles of all, and of each template. */
  latencies (): { latency: Latency, latencies: Latency[] } {
    return { latency: latencyOf(this.#all), latencies: this.#each.map(latencyOf) }
  }
}

function latencyOf (histogram: RecordableHistogram): Latency {
  return { p50: histogram.percentile(50), p99: histogram.percentile(99), p999: histogram.percentile(99.9), max: histogram.max }
}
