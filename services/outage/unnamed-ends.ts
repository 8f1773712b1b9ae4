/**
 * Ends by an id alone that could not be told in a Cluster, because the part was out that knows
 * whose session it was. Who names the user later is served by the user's part, which is told first.
 */
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { Outbox } from './outbox.ts'

interface Parts {
  store: Pick<RedisSessionStore, 'release'>
  mirror: Pick<LeaseMirror, 'byOtherClock'>
  outbox: Outbox
}

/** Who is named. */
interface Named {
  sessionId: string
  username: string
  node?: string | undefined
}

/**
 * Tells a user's part that a session has ended. The message stays for the part that is out.
 * @returns undefined where there is nothing to tell, so that nobody waits for nothing
 * @throws ServiceError `store_unavailable`
 */
export function tellUnnamedEnd (parts: Parts, named: Named): Promise<unknown> | undefined {
  const { store, mirror, outbox } = parts
  const { sessionId, username, node } = named
  const end = outbox.unnamedEnd(sessionId, node)
  if (end === undefined) return undefined
  const { kind: _kind, ...about } = end
  const endedMs = mirror.byOtherClock(end.endedMs)
  const options = { attempt: undefined, node: undefined, ...about, endedMs }
  return store.release({ ...options, sessionId, username })
}
