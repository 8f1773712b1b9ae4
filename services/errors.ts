/**
 * What a caller is told of when it does not get what it asked for. To the stores a limit that is
 * reached is a result.
 */

/** The stable codes of failures; the HTTP layer maps each to one status. */
export type FailureCode =
  | 'invalid_input'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'invalid_credentials'
  | 'too_many_requests'
  | 'store_unavailable'
  | 'session_limit_reached'
  | 'session_id_conflict'
  | 'session_ended'
  | 'stale_epoch'

/** A failure with a stable code and a text that may be shown to the caller. */
export class ServiceError extends Error {
  readonly code: FailureCode
  /** Seconds after which a retry makes sense, where that is known. */
  readonly retryAfterSeconds: number | undefined
  /** Further members of the problem document (RFC 9457, 3.2). */
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
 * The store did not answer, or said that it cannot serve now. Nothing is known to have been
 * written.
 */
export function storeUnavailable (cause: unknown): ServiceError {
  return new ServiceError('store_unavailable', 'The store cannot be reached; try again shortly.', {
    cause,
    retryAfterSeconds: 1
  })
}
