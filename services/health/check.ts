/** One dependency's state, found out by a small check. */

/** Looks at one dependency; rejects when it is not well, and gives up when the signal says so. */
export type Check = (signal: AbortSignal) => Promise<void>
