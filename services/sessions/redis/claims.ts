/** Claims to session ids in a Redis Cluster, where one script cannot see what all users hold. */

/** An id is a user's now. */
export interface Claimed {
  outcome: 'claimed'
  /** It was nobody's before, as far as is known. */
  fresh: boolean
  /** Whose it was, or that it had ended, and for how long yet. */
  replaced?: { stored: string; leftMs: number }
}

/** What came of a claim: the id is the user's now, or why it is not. */
export type Claim = Claimed | { outcome: 'conflict' | 'ended' }
