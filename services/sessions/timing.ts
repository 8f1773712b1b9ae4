/** The times that leases live by, in milliseconds. */

/** How much longer than its lease a record is kept, so that a renewal that comes late finds the call's start and details. */
export const RECORD_GRACE_MS = 60_000

/** How long an id that was released or terminated is remembered; a late acquire or renew starts the time anew. */
export const ENDED_MEMORY_MS = 3_600_000
