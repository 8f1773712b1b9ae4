/**
 * Errors for the log: only members that cannot hold a secret. A Redis error, for instance, has its
 * command, which may be `AUTH`.
 */

import { ServiceError } from '../../services/errors.ts'
import { inWords } from '../../services/redis/replies.ts'
import { withoutPasswords } from '../../services/util/without-passwords.ts'

/** How many levels of causes are logged. */
const MOST_CAUSES = 5

interface LoggedError {
  type: string
  message: string
  stack: string
  [more: string]: unknown
}

/** An error as it is logged. Any other value is logged as text. */
export function errorForLog (error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: withoutPasswords(String(error)), stack: '' }
  }
  const { name: type, message, stack = '', cause } = error
  if (error instanceof ServiceError && error.code === 'store_unavailable') {
    // What was found there is of use; that it cannot be asked, and where that was noticed, is not.
    const why = cause instanceof Error ? cause.message : message
    return { type, message: withoutPasswords(inWords(why)), stack: '', code: error.code }
  }
  const { code } = error as { code?: unknown }
  return {
    type,
    message: withoutPasswords(message),
    stack: withoutPasswords(stack),
    ...(typeof code === 'string' && { code }),
    ...(cause !== undefined && depth < MOST_CAUSES && { cause: errorForLog(cause, depth + 1) }),
    ...(error instanceof AggregateError &&
      depth < MOST_CAUSES && { errors: error.errors.map((one) => errorForLog(one, depth + 1)) })
  }
}
