/** Counts answers and their latencies while counting is on. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Latency } from './load-types.ts'

/** Answers so far. */
export class Tally {
  counting = false
  requests = 0
  statuses: Record<string, number> = {}
  samples: string[] = []
  /** Answers that do not contain what they must. */
  others = 0
  oddAnswer: string | undefined
  #marks: Buffer[]
  #late = createHistogram()
  #all = createHistogram()
  #each: RecordableHistogram[]

  /** @param marks - what the answers to each template must contain */
  constructor (templates: number, marks: string[]) {
    this.#marks = marks.map((mark) => Buffer.from(mark))
    this.#each = Array.from({ length: templates }, () => createHistogram())
  }

  /** Records an answer to the given template. */
  note (template: number, status: number, latencyMs: number, answer: Buffer): void {
    if (!this.counting) return
    this.requests++
    this.statuses[status] = (this.statuses[status] ?? 0) + 1
    this.samples[template] ??= answer.toString('latin1')
    const mark = this.#marks[template]
    const isOther = mark !== undefined && !answer.includes(mark)
    if (isOther) this.others++
    if (status >= 300 || isOther) this.oddAnswer ??= answer.toString('latin1', 0, 700)
    const latencyUs = Math.max(1, Math.round(latencyMs * 1000))
    this.#all.record(latencyUs)
    this.#each[template]?.record(latencyUs)
  }

  /** Records how long after it was due a request was sent. */
  noteSent (lateMs: number): void {
    if (this.counting) this.#late.record(Math.max(1, Math.round(lateMs * 1000)))
  }

  /** Percentiles of all answers, and of those to each template. */
  latencies (): { latency: Latency; latencies: Latency[]; late: Latency } {
    return {
      latency: latencyOf(this.#all),
      latencies: this.#each.map(latencyOf),
      late: latencyOf(this.#late)
    }
  }
}

function latencyOf (histogram: RecordableHistogram): Latency {
  return {
    p50: histogram.percentile(50),
    p99: histogram.percentile(99),
    p999: histogram.percentile(99.9),
    max: histogram.max
  }
}
