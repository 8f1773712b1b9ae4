/**
 * Whose session an id is, where the request does not say. Redis may have lost the record that says
 * so: it was evicted, or somebody deleted it. Then the mirror may know.
 */
import type { KnownSession } from '../sessions/lease.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type { ReleaseRequest, ReleaseResult } from '../sessions/session-store.ts'
import type { LeaseMirror } from './lease-mirror.ts'

/** What is asked. */
interface Asked {
  store: RedisSessionStore
  mirror: LeaseMirror
}

/**
 * Whose session an id is, to know which part to ask; null if it is nobody's.
 * @returns `isKnown`: false where nobody can tell, because the part is out that the id lies in
 */
export async function holderOf (
  { store, mirror }: Asked,
  sessionId: string,
  username?: string
): Promise<{ holder: string | null | undefined; isKnown: boolean }> {
  const holder = username ?? (await store.holderOf(sessionId))
  if (holder !== undefined) return { holder, isKnown: true }
  const { username: known } = (await mirror.getSession(sessionId)) ?? {}
  return { holder: known, isKnown: known !== undefined }
}

/**
 * Releases a session in Redis. The user whom the mirror names goes first.
 * @param known - whose session it is, or null, where somebody has looked already
 * @throws ServiceError `store_unavailable`
 */
export async function releaseIn (
  asked: Asked,
  request: ReleaseRequest,
  known: string | null | undefined
): Promise<ReleaseResult> {
  const { store } = asked
  const mirrored = asked.mirror.holderOf(request.sessionId)
  if (request.username === undefined && mirrored !== undefined) {
    const result = await store.release({ ...request, username: mirrored })
    if (result.outcome === 'released') return result
  }
  return await store.release(request, known)
}

/**
 * Reads a session from Redis, by the user whom the mirror names where Redis knows none.
 * @throws ServiceError `store_unavailable`
 */
export async function sessionIn (
  asked: Asked,
  sessionId: string,
  known: string | null | undefined
): Promise<KnownSession | null> {
  const { store, mirror } = asked
  const found = await store.getSession(sessionId, known)
  if (found !== null) return found
  const mirrored = mirror.holderOf(sessionId)
  return mirrored === undefined ? null : await store.getSession(sessionId, mirrored)
}
