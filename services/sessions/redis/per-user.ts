/** Work on many users, some of whom may lie in parts of a Cluster that are out. */
import type { Lease } from '../lease.ts'
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
  /** Whether it knows of a session that is renewed how it began. */
  knows(request: RenewRequest): boolean
  /** Told of a renewed session of which it did not know that. */
  learn(lease: Lease): void
}

/** Asks, and leaves every failure to the caller. */
export const PLAINLY: PerUser = {
  renew: async (_requests, question) => await question(),
  lapse: async (_session, question) => await question(),
  knows: () => true,
  learn: () => {}
}
