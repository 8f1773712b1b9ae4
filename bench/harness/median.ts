/** Medians and spreads of a few samples. */

/** The median; of an even number of samples the mean of the middle two. */
export function median (samples: number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = NaN, high = NaN] = [sorted[(sorted.length - 1) >> 1], sorted[middle]]
  return (low + high) / 2
}

/** The lowest and the highest sample as text, with as many decimals as asked for. */
export function spread (samples: number[], decimals = 2): string {
  return `${Math.min(...samples).toFixed(decimals)}–${Math.max(...samples).toFixed(decimals)}`
}
