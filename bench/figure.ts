/** Figures, their goals, and whether these are met. */
import type { Estimate } from './harness/estimate.ts'

/** One figure of a comparison. */
export interface Figure {
  what: string
  measured: Estimate
  /** Empty for a ratio. */
  unit?: string
  /** What the figure should be; without a goal it is information. */
  goal?: Goal | undefined
  /** Absolute figures behind a ratio, conditions. */
  note?: string
}

/** What a figure should be. */
export type Goal = { atLeast: number } | { atMost: number }

/** What the interval says of the goal; empty where there is no goal. */
export type Verdict = 'met' | 'short' | 'not decided' | ''

/**
 * A goal is met, or missed, only where the whole interval says so. While the goal lies within the
 * interval, or there are too few rounds for one, nothing is decided.
 */
export function verdict ({ measured: { low, high }, goal }: Figure): Verdict {
  if (goal === undefined) return ''
  const [met, short] =
    'atLeast' in goal
      ? [low >= goal.atLeast, high < goal.atLeast]
      : [high <= goal.atMost, low > goal.atMost]
  return met ? 'met' : short ? 'short' : 'not decided'
}
