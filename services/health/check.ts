/** One dependency's state, found out by a small check. */

/**
 * Checks one dependency; rejects when it is not well, and gives up when the signal says so.
 * Resolves with its latency in milliseconds where that is known better than by timing the check.
 */
export type Check = (signal: AbortSignal) => Promise<number | void>
