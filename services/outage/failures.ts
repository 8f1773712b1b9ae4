/** What a failure says about how much is out: one slot of a Cluster, or its server. */

/** Replies about one slot, from a server that is well; and what ioredis makes of many MOVED. */
const ABOUT_A_SLOT = new RegExp(
  '^(CLUSTERDOWN Hash slot not served|TRYAGAIN|MOVED|ASK|' +
    'Too many Cluster redirections|ERR Script attempted to access a non local key)'
)

/** Whether the server is well that gave this answer, and only the slot is not. */
export function isAboutSlot (error: unknown): boolean {
  return ABOUT_A_SLOT.test(reasonOf(error))
}

/** Whether no answer came in time: of one command, or of the server; only a probe can tell. */
export function isLate (error: unknown): boolean {
  return reasonOf(error).startsWith('Redis did not answer within')
}

function reasonOf (error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error ? cause.message : ''
}
