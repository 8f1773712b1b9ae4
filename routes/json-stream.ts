/** Streams a JSON object with one long member in bounded memory. */
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/** The long member, and what follows it. */
export interface LongMember {
  /** The name of the member, whose value is an object. */
  name: string
  /** Its entries, in batches. */
  batches: AsyncIterable<Array<[string, number]>>
  /** Entries that come before the batches. */
  first?: Record<string, number>
  /** The members that follow, given the sum of all values. */
  tail?: (sum: number) => Record<string, unknown>
}

/**
 * Sends `{...head, [name]: {...}, ...tail}`. The first batch is read before the status is sent, so
 * that Redis being down is answered with 503.
 */
export async function sendJsonStream (
  reply: FastifyReply,
  head: Record<string, unknown>,
  member: LongMember
): Promise<FastifyReply> {
  const text = jsonText(head, member)
  const beginning = await text.next()
  return await reply
    .type('application/json; charset=utf-8')
    .send(Readable.from(prepend(beginning.value ?? '', text)))
}

async function * prepend (beginning: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield beginning
  yield * rest
}

/** The text in pieces. The first piece has the head and the first batch. */
async function * jsonText (
  head: Record<string, unknown>,
  { name, batches, first = {}, tail }: LongMember
): AsyncGenerator<string> {
  const before = members(Object.entries(head))
    .map((member) => `${member},`)
    .join('')
  let piece = `{${before}${JSON.stringify(name)}:{${members(Object.entries(first)).join(',')}`
  let comma = Object.keys(first).length > 0
  let sum = 0
  for await (const batch of batches) {
    yield piece + (comma && batch.length > 0 ? ',' : '') + members(batch).join(',')
    comma ||= batch.length > 0
    piece = ''
    for (const [, value] of batch) sum += value
  }
  yield `${piece}}${members(Object.entries(tail?.(sum) ?? {}))
    .map((member) => `,${member}`)
    .join('')}}`
}

function members (entries: Array<[string, unknown]>): string[] {
  return entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
}
