/**
 * Writes long answers in slices: the text of thousands of entries takes a tenth of a second in one
 * go, and others would wait for it.
 */
import fp from 'fastify-plugin'
import { turn } from '../services/util/in-turns.ts'

/** A longer list is written in slices of so many entries. */
const AT_ONCE = 200

declare module 'fastify' {
  interface FastifyReply {
    /** The answer, where it was written in slices; otherwise undefined. */
    longAnswer: unknown
  }
}

export default fp(
  async (app) => {
    app.decorateReply('longAnswer', undefined)
    // Not async: a short answer waits for nothing.
    app.addHook('preSerialization', (_request, reply, payload, done) => {
      if (!isLong(payload)) return done(null, payload)
      reply.longAnswer = payload
      reply.type('application/json; charset=utf-8').serializer(asItIs)
      inSlices(payload).then((bytes) => done(null, bytes), done)
    })
  },
  { name: 'long-answers' }
)

/** The type of Fastify knows no bytes, which it sends as they are. */
const asItIs = (bytes: unknown) => bytes as string

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
