/** Probes: is the process alive, has it started, is it ready. None of them reaches a dependency. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref } from '../schemas/components.ts'
import { HealthSchema, LivenessSchema } from '../schemas/health.ts'

const tags = ['health']
const security: [] = []
/** A probe that is refused for being one too many would end the service. */
const config = { rateLimit: false } as const
const health = ref(HealthSchema)
const down = {
  description: 'A dependency that the service needs is lost',
  content: {
    'application/json': {
      schema: health,
      example: {
        status: 'down',
        components: {
          redis: { status: 'down', latency_ms: null },
          etcd: { status: 'disabled', latency_ms: null }
        },
        policy: 'stale',
        sessions: 'known'
      }
    }
  }
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const looked = () => ({
    ...app.health.health,
    policy: app.policy.status,
    sessions: app.sessionStore.learning ? ('learning' as const) : ('known' as const)
  })

  const ready = {
    '/healthz/ready': 'getReadiness',
    '/health': 'getHealth',
    '/api/health': 'getApiHealth'
  }
  for (const [url, operationId] of Object.entries(ready)) {
    app.get(
      url,
      {
        config,
        schema: {
          operationId,
          tags,
          security,
          summary: 'Whether the service can do its work now',
          response: { 200: health, 503: down }
        }
      },
      async (_request, reply) => {
        const seen = looked()
        return reply.code(seen.status === 'down' ? 503 : 200).send(seen)
      }
    )
  }

  app.get(
    '/healthz/live',
    {
      config,
      schema: {
        operationId: 'getLiveness',
        tags,
        security,
        summary: 'Whether the process answers at all',
        response: { 200: ref(LivenessSchema) }
      }
    },
    async () => ({ status: 'ok' as const })
  )

  app.get(
    '/healthz/startup',
    {
      config,
      schema: {
        operationId: 'getStartup',
        tags,
        security,
        summary: 'Whether the service has started; it starts without its dependencies',
        response: { 200: health }
      }
    },
    async () => looked()
  )
}

export default routes
