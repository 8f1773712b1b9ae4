/**
 * Things measured in turn, round by round, so that whatever else the machine does meanwhile affects
 * all of them alike.
 */
import { median } from './estimate.ts'

/** How to measure each side once. */
export type Sides<Side extends string, Sample> = Record<Side, () => Promise<Sample>>

/** The samples of each side, one a round. */
export type Samples<Side extends string, Sample> = Record<Side, Sample[]>

/** Measures all sides in each round. */
export async function inTurn<Side extends string, Sample> (
  rounds: number,
  sides: Sides<Side, Sample>
): Promise<Samples<Side, Sample>> {
  const samples = noSamples<Side, Sample>(Object.keys(sides) as Side[])
  for (let round = 0; round < rounds; round++) await takeTurns(round, sides, samples)
  return samples
}

/** One round: the side that came first in the round before comes last in this one. */
export async function takeTurns<Side extends string, Sample> (
  round: number,
  sides: Sides<Side, Sample>,
  samples: Samples<Side, Sample>
): Promise<void> {
  const names = Object.keys(sides) as Side[]
  for (const place of names.keys()) {
    const side = names[(place + round) % names.length] as Side
    samples[side].push(await sides[side]())
  }
}

/** Empty lists to fill. */
export function noSamples<Side extends string, Sample> (sides: Side[]): Samples<Side, Sample> {
  return Object.fromEntries(sides.map((side) => [side, []])) as unknown as Samples<Side, Sample>
}

/** The medians of both sides as text: `120 : 100`. */
export function both<S> (a: S[], b: S[], of: (sample: S) => number, decimals = 0): string {
  return [a, b].map((side) => middle(side, of).toFixed(decimals)).join(' : ')
}

/** The median of one side. */
export function middle<S> (samples: S[], of: (sample: S) => number): number {
  return median(samples.map(of))
}
