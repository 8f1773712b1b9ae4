/**
 * Bounds the memory that answers take which are not read. A small request may have an answer of
 * megabytes, and who sends many and reads none of them would fill the memory.
 */
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'

/** An answer counts above this, in bytes, and so many of them are kept in all. */
const [LARGE, MOST_BYTES] = [64 * 1024, 64 * 2 ** 20]

declare module 'fastify' {
  interface FastifyInstance {
    /** How many bytes of large answers are not read yet. */
    unreadAnswers: { readonly bytes: number }
  }
}

export default fp(
  async (app) => {
    /** The one that has waited longest comes first. */
    const unread = new Map<object, { bytes: number; socket: Socket }>()
    const state = { bytes: 0 }
    app.decorate('unreadAnswers', state)

    app.addHook('onSend', ({ raw }, reply, payload, done) => {
      const bytes = lengthOf(payload)
      // Of an answer to a connection that is closed nobody hears any more.
      if (bytes > LARGE && !raw.socket.destroyed) {
        state.bytes += bytes
        unread.set(reply.raw, { bytes, socket: raw.socket })
        reply.raw.once('close', () => {
          state.bytes -= bytes
          unread.delete(reply.raw)
        })
        if (state.bytes > MOST_BYTES) cut()
      }
      done(null, payload)
    })

    /** Cuts off those who have not read their answers for the longest time. */
    function cut (): void {
      let left = state.bytes
      for (const { bytes, socket } of unread.values()) {
        if (left <= MOST_BYTES) return
        left -= bytes
        socket.destroy()
      }
    }
  },
  { name: 'unread-answers' }
)

/** A stream is read as its caller reads it. */
function lengthOf (payload: unknown): number {
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0
}
