/** Two things measured in turn, A B A B, so that what the machine does meanwhile hits both. */
import type { Load } from './load.ts'
import { median, spread } from './median.ts'

/** The samples of both, round by round. */
export interface Pairs<A, B = A> {
  a: A[]
  b: B[]
}

/** Measures both in each round. */
export async function interleave<A, B = A> (
  rounds: number,
  a: () => Promise<A>,
  b: () => Promise<B>
): Promise<Pairs<A, B>> {
  const pairs: Pairs<A, B> = { a: [], b: [] }
  for (let round = 0; round < rounds; round++) {
    pairs.a.push(await a())
    pairs.b.push(await b())
  }
  return pairs
}

/** The ratio of A to B: the median of the rounds' own ratios, and their spread as text. */
export function ratio<A, B> (
  { a, b }: Pairs<A, B>,
  ofA: (sample: A) => number,
  ofB: (sample: B) => number
): { value: number; spread: string } {
  const ratios = a.map((sample, i) => ofA(sample) / ofB(b[i] as B))
  return { value: median(ratios), spread: spread(ratios) }
}

/** The medians of both sides as text: `120 : 100`. */
export function both<S> ({ a, b }: Pairs<S>, of: (sample: S) => number, decimals = 0): string {
  return [a, b].map((side) => middle(side, of).toFixed(decimals)).join(' : ')
}

/** The median of one side. */
export function middle<S> (samples: S[], of: (sample: S) => number): number {
  return median(samples.map(of))
}

/** A remark where the load process was as busy as it can be, and so may be what was measured. */
export function loadRemark (...sides: Load[][]): string {
  return sides.flat().some(({ loadBound }) => loadBound)
    ? 'The load process was at its own limit.'
    : ''
}
