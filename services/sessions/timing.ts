/** The times that leases live by, in milliseconds. */
import { DEFAULT_TTL_SECONDS } from '../../schemas/sessions.ts'

/** The longest time to live that a lease can have. */
export const LONGEST_TTL_MS = 86_400_000

/**
 * How much longer than its lease a record is kept, so that a renewal that comes late finds the
 * call's start and details.
 */
export const RECORD_GRACE_MS = 60_000

/**
 * How long a store whose data is new is told of calls that are up, until it can be taken to know
 * all of them: the usual time to live, within which every call is renewed once or its lease would
 * have ended anyway.
 */
export const LEARNING_MS = DEFAULT_TTL_SECONDS * 1000

/**
 * How long an id that was released or terminated is remembered; a late acquire or renew starts the
 * time anew.
 */
export const ENDED_MEMORY_MS = 3_600_000

/** How long a switch node is remembered that is not heard of. */
export const NODE_MEMORY_MS = 86_400_000

/** How long a report that comes in parts waits for its next part. */
export const PART_MEMORY_MS = 600_000

/**
 * How long before its list was taken a session must have begun for a report to free its slot: a
 * call that began while the list travelled is safe, and a clock that is a few seconds off does no
 * harm.
 */
export const YOUNG_MS = 10_000
