/** Tells the failure that an outage is from every other. */
import { ServiceError } from '../errors.ts'

/** Whether a failure means that the store cannot be reached or cannot serve. */
export function isUnavailable (error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'store_unavailable'
}

/** Whether it is the failure of a write that may have been kept. */
export function isOutcomeUnknown (error: unknown): boolean {
  return error instanceof ServiceError && error.members['outcome'] === 'unknown'
}
