/**
 * Writes long answers in slices: the text of thousands of entries takes a tenth of a second in one
 * go, and others would wait for it.
 */
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { turn } from '../services/util/in-turns.ts'

/** A longer list is written in slices of so many entries. */
const AT_ONCE = 200
/** The most long answers that are written at a time before further lists are refused. */
const MOST_WRITING = 50

declare module 'fastify' {
  interface FastifyReply {
    /** The answer to a change, where it was written in slices; otherwise undefined. */
    longAnswer: unknown
  }
}

export default fp(
  async (app) => {
    app.decorateReply('longAnswer', undefined)
    let writing = 0
    // Not async: a short answer waits for nothing.
    app.addHook('preSerialization', ({ method }, reply, payload, done) => {
      if (!isLong(payload)) return done(null, payload)
      // What has been done is always told.
      if (method === 'GET' && writing >= MOST_WRITING) return done(tooMany())
      // A list is not audited, and is kept no longer than it takes to write it.
      if (method !== 'GET') reply.longAnswer = payload
      reply.type('application/json; charset=utf-8').serializer(asItIs)
      writing++
      inSlices(payload)
        .finally(() => writing--)
        .then((bytes) => done(null, bytes), done)
    })
  },
  { name: 'long-answers' }
)

/** The type of Fastify knows no bytes, which it sends as they are. */
const asItIs = (bytes: unknown) => bytes as string

function tooMany (): ServiceError {
  const detail = 'Too many lists at once; try again shortly.'
  return new ServiceError('too_many_requests', detail, { retryAfterSeconds: 1 })
}

function isLong (payload: unknown): payload is object {
  if (typeof payload !== 'object' || payload === null) return false
  for (const name in payload) {
    if (isLongList((payload as Record<string, unknown>)[name])) return true
  }
  return false
}

function isLongList (value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length > AT_ONCE
}

/** An object as JSON, whose members are what routes answer with: no `toJSON`, no function. */
async function inSlices (answer: object): Promise<Buffer> {
  const pieces: Buffer[] = []
  const add = (text: string) => pieces.push(Buffer.from(text))
  let comma = ''
  add('{')
  for (const [name, value] of Object.entries(answer) as Array<[string, unknown]>) {
    if (value === undefined) continue
    add(`${comma}${JSON.stringify(name)}:`)
    comma = ','
    if (!isLongList(value)) add(JSON.stringify(value))
    else for await (const text of entriesOf(value)) add(text)
  }
  add('}')
  return Buffer.concat(pieces)
}

/** A list as JSON, in pieces. */
async function * entriesOf (list: unknown[]): AsyncGenerator<string> {
  yield '['
  for (let i = 0; i < list.length; i += AT_ONCE) {
    if (i > 0) await turn()
    const text = JSON.stringify(list.slice(i, i + AT_ONCE)).slice(1, -1)
    yield i === 0 ? text : `,${text}`
  }
  yield ']'
}
