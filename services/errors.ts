/**
 * Failures that a caller is told about. For the stores, a limit that has been reached is a result
 * and not a failure.
 */

/** The stable codes of failures. The HTTP layer maps each code to a status. */
export type FailureCode =
  | 'invalid_input'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'invalid_credentials'
  | 'api_key_limit_reached'
  | 'too_many_requests'
  | 'store_unavailable'
  | 'session_limit_reached'
  | 'user_barred'
  | 'session_id_conflict'
  | 'session_ended'
  | 'stale_epoch' | 'incomplete_report'

/** A failure with a stable code and a message that is safe to show to the caller. */
export class ServiceError extends Error {
  readonly code: FailureCode
  /** How many seconds to wait before trying again, if that is known. */
  readonly retryAfterSeconds: number | undefined
  /** Extension members of the problem document (RFC 9457, 3.2). */
  readonly members: Record<string, unknown>

  constructor (
    code: FailureCode,
    message: string,
    options: { cause?: unknown; retryAfterSeconds?: number; members?: Record<string, unknown> } = {}
  ) {
    super(message, { cause: options.cause })
    this.name = 'ServiceError'
    this.code = code
    this.retryAfterSeconds = options.retryAfterSeconds
    this.members = options.members ?? {}
  }
}

/**
 * A member that is not as it must be, though its schema says nothing against it.
 * @param path - where it is, such as `body/as_of`
 */
export function invalidMember (path: string, message: string): ServiceError {
  return new ServiceError('invalid_input', `${path} ${message}`, {
    members: { errors: [{ path, message }] }
  })
}

/** The store did not answer or cannot serve now. A write that it fails was not kept. */
export function storeUnavailable (cause: unknown): ServiceError {
  return new ServiceError('store_unavailable', 'The store is unavailable; try again shortly.', {
    cause,
    retryAfterSeconds: 1
  })
}

/** The same failure of a write that may have been kept all the same, or not: nobody can know. */
export function outcomeUnknown (failure: unknown): ServiceError {
  return new ServiceError(
    'store_unavailable',
    'The store did not answer in time. The change was made, or it will not be made: read it again.',
    {
      cause: failure instanceof ServiceError ? failure.cause : failure,
      retryAfterSeconds: 1,
      members: { outcome: 'unknown' }
    }
  )
}

/**
 * Does the rest of some work of which a part may be done already.
 * @throws ServiceError `store_unavailable`, which says so
 */
export async function partly<T> (work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'store_unavailable') throw error
    throw new ServiceError(
      'store_unavailable',
      'The store failed on the way. A part may have been done: ask again for all of it.',
      { cause: error.cause, retryAfterSeconds: 1, members: { outcome: 'unknown' } }
    )
  }
}
