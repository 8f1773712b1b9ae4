/** What an admission does at the limit. */
import type { Policy } from '../../schemas/policy.ts'

/** `admit` lets everybody in and still counts: limits are off, or it is an emergency call. */
export type LimitMode = Policy['session_limit_action'] | 'admit'

/** Whether a mode keeps anybody out or ends a session; a bar holds in no other. */
export function refuses (mode: LimitMode): boolean {
  return mode !== 'admit' && mode !== 'observe'
}

/** The mode for one request. */
export function limitMode (policy: Policy, emergency: boolean): LimitMode {
  return emergency || !policy.enabled ? 'admit' : policy.session_limit_action
}
