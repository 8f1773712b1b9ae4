/** The bare twin, the yardstick: every handler answers a constant at once. */
import { ANSWERS } from './answers.ts'
import { startTwin, type Handlers } from './build-twin.ts'

await startTwin(
  Object.fromEntries(
    Object.entries(ANSWERS).map(([route, { status, body }]): [string, Handlers[string]] => [
      route,
      async (_request, reply) => {
        reply.code(status)
        return body
      }
    ])
  )
)
