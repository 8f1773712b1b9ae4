/** Failures that a caller is told of. A limit that is reached is a result, not a failure, and is not here. */

/** The stable codes of failures; the HTTP layer maps each to one status. */
export type FailureCode =
  | 'invalid_input' | 'unauthorized' | 'forbidden' | 'not_found' | 'invalid_credentials'
  | 'too_many_requests' | 'store_unavailable'

/** A failure with a stable code and a text that may be shown to the caller. */
export class ServiceError extends Error {
  readonly code: FailureCode
  /** Seconds after which a retry makes sense, where that is known. */
  readonly retryAfterSeconds: number | undefined

  constructor (code: FailureCode, message: string, options: { cause?: unknown, retryAfterSeconds?: number } = {}) {
    super(message, { cause: options.cause })
    this.name = 'ServiceError'
    this.code = code
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** The store did not answer, or said that it cannot serve now. Nothing is known to have been written. */
export function storeUnavailable (cause: unknown): ServiceError {
  return new ServiceError('store_unavailable', 'The store cannot be reached; try again shortly.', { cause, retryAfterSeconds: 1 })
}
