/**
 * The leases of another store as far as this process has seen them: a store in memory, kept up to
 * date with what the other one decides, so that it can decide in its place.
 */
import type { HeldLease, Lease } from '../sessions/lease.ts'
import type { Ended } from '../sessions/memory/lease-table.ts'
import { MemorySessionStore } from '../sessions/memory/memory-session-store.ts'
import type { NodeReconciliation, Reconciled } from '../sessions/session-store.ts'

/** Mirrors leases. Its clock is another one: what counts is how long a lease lasts yet. */
export class LeaseMirror extends MemorySessionStore {
  /** Takes over a lease that the other store has taken, or holds. */
  take (lease: Lease, ttlMs: number, terminated: string[] = []): void {
    this.table.put(lease, this.table.now() + ttlMs, terminated)
  }

  /** Takes over that the other store prolonged a lease; false when it is not known here. */
  prolong (
    sessionId: string,
    username: string,
    ttlMs: number,
    attempt: number | undefined
  ): boolean {
    const now = this.table.now()
    const entry = this.table.known(sessionId, now)
    if (entry === undefined || entry.ended || entry.username !== username) return false
    if (attempt !== undefined && attempt !== entry.attempt) return false
    entry.expiresMs = now + ttlMs
    return true
  }

  /**
   * Takes over that a session has ended.
   * @param username - whose it was, where it may not be known here
   * @param attempt - which attempt has ended; a later one that is live here goes on
   */
  forget (sessionId: string, username?: string, attempt?: number): void {
    const now = this.table.now()
    const live = this.table.live(sessionId, now)
    if (live !== undefined && attempt !== undefined && attempt < live.attempt) return
    this.table.end(sessionId, now, username, attempt)
  }

  /** Takes over that a lease has lapsed. */
  lapse (sessionId: string): void {
    const now = this.table.now()
    const live = this.table.live(sessionId, now)
    if (live !== undefined) this.table.lapse(live, now)
  }

  /**
   * Takes over what came of a node's report: of the sessions that it names, and of no other. What
   * was admitted while the report was under way is not touched.
   */
  async noteReport (
    { node, sessions, ttlMs }: NodeReconciliation,
    { outcomes, missing }: Reconciled
  ): Promise<void> {
    const isUp = (i: number) => outcomes[i] === 'renewed' || outcomes[i] === 'reregistered'
    const up = sessions.filter((_session, i) => isUp(i))
    await this.renew(up.map((session) => ({ ...session, node })), ttlMs)
    sessions.forEach(({ sessionId, username, attempt }, i) => {
      if (outcomes[i] === 'ended') this.forget(sessionId, username, attempt)
    })
    for (const { sessionId } of missing) this.lapse(sessionId)
  }

  /** Every lease that is live, user by user. */
  * mirrored (): Generator<HeldLease> {
    for (const username of this.table.usernames()) {
      const now = this.table.now()
      for (const lease of this.table.ofUser(username, now)) {
        yield { lease, remainingMs: lease.expiresMs - now }
      }
    }
  }

  /** One lease, if it is live. */
  mirroredOf (sessionId: string): HeldLease | undefined {
    const now = this.table.now()
    const lease = this.table.live(sessionId, now)
    return lease && { lease, remainingMs: lease.expiresMs - now }
  }

  /** Every id that has ended within so many milliseconds. */
  * endedIds (withinMs: number): Generator<[sessionId: string, ended: Ended]> {
    yield * this.table.endedSince(this.table.now() - withinMs)
  }
}
