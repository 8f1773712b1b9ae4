/** What an error reply of Redis says: that it serves nobody now, or not this one command. */
import { ReplyError } from 'ioredis'

/**
 * Replies of a server that serves nobody at the moment, whatever it is asked. LATE is what scripts
 * say where Redis hung, or its clock was set.
 */
const SERVES_NOBODY = new RegExp(
  '^(LOADING|READONLY|OOM|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|BUSY|MISCONF|NOAUTH|WRONGPASS|' +
    'UNKILLABLE|LATE|ERR max number of clients)'
)

/**
 * Whether Redis answered, and refused this one command: it has no right to it, does not know it, or
 * cannot carry it out with these keys. Others may be served meanwhile, so that it is no outage.
 * Every error reply is one or the other, whatever it says.
 * @param error - an error reply, or a failure that was caused by one
 */
export function isRefusal (error: unknown): boolean {
  const reply = replyOf(error)
  return reply !== undefined && !SERVES_NOBODY.test(reply.message)
}

/** No write comes so late whose answer comes in time, in milliseconds, unless a clock was set. */
const STEP_MS = 2000

/**
 * By how much the clock of Redis must have been set, in milliseconds, where a script refused a
 * write as late though its answer came in time; 0 for any other failure.
 */
export function steppedByMs (error: unknown): number {
  const { message = '' } = replyOf(error) ?? {}
  const lateByMs = Number(/^LATE by (\d+) ms/.exec(message)?.[1] ?? 0)
  return lateByMs > STEP_MS ? lateByMs : 0
}

/** Whether a command failed because a key holds a value of another type. */
export function isWrongType (error: unknown): boolean {
  return replyOf(error)?.message.startsWith('WRONGTYPE') === true
}

/** The command that a user has no right to, where a reply says so. */
export function deniedCommand (error: unknown): string | undefined {
  const { message = '' } = replyOf(error) ?? {}
  return /^NOPERM .*'([\w|-]+)'/.exec(message)?.[1]?.toLowerCase()
}

/** What the client says of a command that it did not send. */
const NOT_SENT = /^(Stream isn't writeable|The Cluster client is not connected)/

/** A failure to reach Redis in words: the client says of a lost connection how it is set up. */
export function inWords (message: string): string {
  return NOT_SENT.test(message) ? 'there is no connection to Redis' : message
}

/**
 * Whether a command that failed may have been carried out all the same: it was sent, and no answer
 * came. An error reply says that it was not.
 */
export function mayHaveArrived (error: unknown): boolean {
  if (replyOf(error) !== undefined || !(error instanceof Error)) return false
  const { message } = error.cause instanceof Error ? error.cause : error
  return !NOT_SENT.test(message)
}

function replyOf (error: unknown): Error | undefined {
  if (error instanceof ReplyError) return error as Error
  return error instanceof Error && error.cause instanceof ReplyError
    ? (error.cause as Error)
    : undefined
}
