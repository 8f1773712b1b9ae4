/**
 * Bounds the memory that large bodies take: one is read when there is room for it, and has its room
 * until its answer is written. Small bodies, such as those of admissions, wait for nothing.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { ByteBudget, type GiveBack } from '../services/util/byte-budget.ts'
import { callerKey } from './request-limits.ts'

/** A body is large above this, in bytes: above the limit of most routes. */
const LARGE = 64 * 1024

const MiB = 2 ** 20
/** One who waits longer would be cut off by the deadline for reading a request. */
const ROOM = {
  bytes: 32 * MiB,
  bytesEach: 16 * MiB,
  waiting: 32,
  waitingEach: 8,
  waitMs: 5_000
}
/** How long the answer to a large body may take to be read, in milliseconds. */
const MOST_READING_MS = 30_000

declare module 'fastify' {
  interface FastifyInstance {
    /** Room for large bodies. */
    largeBodies: ByteBudget
  }
  interface FastifyRequest {
    /** Its large body, which has its room until both are true. */
    largeBody: { isAnswered: boolean; isClosed: boolean; giveBack: GiveBack } | null
  }
}

export default fp(
  async (app) => {
    const budget = new ByteBudget(ROOM)
    app.decorate('largeBodies', budget)
    app.decorateRequest('largeBody', null)
    // Not async: a small body waits for nothing.
    app.addHook('preParsing', (request, reply, payload, done) => {
      const bytes = bytesOf(request)
      if (bytes <= LARGE || bytes > request.routeOptions.bodyLimit) return done(null, payload)
      budget.take(callerKey(request), bytes).then((giveBack) => {
        if (request.raw.socket.destroyed) {
          giveBack()
          return done(new ServiceError('too_many_requests', 'The caller has hung up.'))
        }
        hold(request, reply, giveBack)
        done(null, payload)
      }, done)
    })
    // Sent at the end of every request, whether or not its caller still listens.
    app.addHook('onSend', ({ largeBody, raw }, _reply, payload, done) => {
      if (largeBody !== null) {
        largeBody.isAnswered = true
        giveBackOf(largeBody)
        if (!largeBody.isClosed) cutLater(raw, largeBody)
      }
      done(null, payload)
    })
  },
  { name: 'large-bodies', dependencies: ['errors', 'auth'] }
)

/** How long a body is by its header; one of unknown length may have all that its route takes. */
function bytesOf ({ headers, routeOptions }: FastifyRequest): number {
  if (headers['transfer-encoding'] !== undefined) return routeOptions.bodyLimit
  return Number(headers['content-length'] ?? 0)
}

type Held = NonNullable<FastifyRequest['largeBody']>

function hold (request: FastifyRequest, reply: FastifyReply, giveBack: GiveBack): void {
  const held = { isAnswered: false, isClosed: false, giveBack }
  request.largeBody = held
  reply.raw.once('close', () => {
    held.isClosed = true
    giveBackOf(held)
  })
}

function giveBackOf ({ isAnswered, isClosed, giveBack }: Held): void {
  if (isAnswered && isClosed) giveBack()
}

/** Cuts off a caller who does not read its answer. */
function cutLater (raw: FastifyRequest['raw'], held: Held): void {
  setTimeout(() => {
    if (!held.isClosed) raw.socket.destroy()
  }, MOST_READING_MS).unref()
}
