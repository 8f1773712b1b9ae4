/** Callers who hang up before they are answered: they are worked for no longer. */
import type { FastifyRequest } from 'fastify'

/** Tells whether a request's connection is closed. */
export function goneWith ({ raw }: FastifyRequest): () => boolean {
  return () => raw.socket.destroyed
}
