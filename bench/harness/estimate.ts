/**
 * What the rounds of a measurement say: their median, and the interval that holds the true median
 * with a confidence of at least 95 %.
 */

/** The least confidence of an interval. */
const CONFIDENCE = 0.95

/** A median and its interval. */
export interface Estimate {
  value: number
  /** The ends of the interval; infinite where there are too few rounds for one. */
  low: number
  high: number
  /** How many rounds it is based on; 1 for what is counted and not sampled. */
  rounds: number
}

/**
 * The median of some rounds with its interval, which runs from the k-th lowest round to the k-th
 * highest. This is the interval of the sign test: whether a round lies above the true median is the
 * toss of a coin, so that k follows from the binomial distribution alone. Nothing is assumed about
 * how rounds are distributed, and one that a busy neighbour has spoilt does not widen it. It takes
 * six rounds.
 */
export function estimate (rounds: number[]): Estimate {
  const sorted = [...rounds].sort((a, b) => a - b)
  const k = rankOfEnds(rounds.length)
  return {
    value: median(sorted),
    low: sorted[k - 1] ?? -Infinity,
    high: sorted[rounds.length - k] ?? Infinity,
    rounds: rounds.length
  }
}

/** What is counted and not sampled: every run would give the same, so its interval is a point. */
export function counted (value: number): Estimate {
  return { value, low: value, high: value, rounds: 1 }
}

/** The ratio of A to B, each round of A against the same round of B. */
export function ratio (a: number[], b: number[]): Estimate {
  return estimate(a.map((value, round) => value / (b[round] ?? NaN)))
}

/** How much A is above B, each round of A against the same round of B. */
export function difference (a: number[], b: number[]): Estimate {
  return estimate(a.map((value, round) => value - (b[round] ?? NaN)))
}

/** The median; of an even number of values the mean of the middle two. */
export function median (values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const [low = NaN, high = NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return (low + high) / 2
}

/** The largest k whose interval still has the confidence; 0 where none has it. */
function rankOfEnds (rounds: number): number {
  // Probability that the true median lies below the (k + 1)-th lowest round.
  let below = 0
  let exactly = 0.5 ** rounds
  for (let k = 0; ; k++) {
    below += exactly
    if (2 * below > 1 - CONFIDENCE) return k
    exactly *= (rounds - k) / (k + 1)
  }
}
