/** Where the time comes from, so that tests can hold it in their hands. */

/** Milliseconds since the Unix epoch. */
export type Clock = () => number

/** The machine's own clock. */
export const systemClock: Clock = Date.now

/** An instant in milliseconds as RFC 3339 in UTC. */
export function toTimestamp (ms: number): string {
  return new Date(ms).toISOString()
}
