/** Callers that are bound to a switch node, and what they are told. */
import { ServiceError } from '../errors.ts'

/**
 * The refusal of a request that reaches beyond the caller's node.
 * @param degraded - whether it was decided without Redis
 */
export function boundTo (node: string, degraded = false): ServiceError {
  return new ServiceError(
    'forbidden',
    node === ''
      ? 'The node claim of the token is not valid, so it may not change any session.'
      : `This caller may change only sessions of the node ${node}.`,
    { members: { degraded } }
  )
}
