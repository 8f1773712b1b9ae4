/** Work on many users, some of whom may lie in parts of a Cluster that are out. */
import type { RenewRequest, RenewResult } from '../session-store.ts'

/**
 * How one user's part of a Cluster is asked during work on many users. What is answered where it is
 * out is up to whoever asks.
 */
export interface PerUser {
  renew(requests: RenewRequest[], question: () => Promise<RenewResult[]>): Promise<RenewResult[]>
  /** @returns whether the session was live, and has lapsed */
  lapse(
    session: { sessionId: string; username: string },
    question: () => Promise<boolean>
  ): Promise<boolean>
}

/** Asks, and leaves every failure to the caller. */
export const PLAINLY: PerUser = {
  renew: async (_requests, question) => await question(),
  lapse: async (_session, question) => await question()
}
