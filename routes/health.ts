/** Health probes. None of them asks a dependency: the answers come from the last check. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref } from '../schemas/components.ts'
import { HealthSchema, LivenessSchema } from '../schemas/health.ts'

const tags = ['health']
const security: [] = []
/** A probe that the rate limit refused would get the service restarted. */
const config = { rateLimit: false } as const
const healthSchema = ref(HealthSchema)
const down = {
  description: 'A required dependency is down',
  content: {
    'application/json': {
      schema: healthSchema,
      example: {
        status: 'down',
        components: {
          redis: { status: 'down', latency_ms: null },
          etcd: { status: 'disabled', latency_ms: null }
        },
        policy: 'stale',
        sessions: 'known',
        warnings: []
      }
    }
  }
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const currentHealth = () => ({
    ...app.health.health,
    policy: app.policy.status,
    sessions: app.sessions.learning ? ('learning' as const) : ('known' as const),
    warnings: app.warnings.texts
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
          summary: 'Check whether the service can handle requests',
          response: { 200: healthSchema, 503: down }
        }
      },
      async (_request, reply) => {
        const health = currentHealth()
        return reply.code(health.status === 'down' ? 503 : 200).send(health)
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
        summary: 'Check whether the process responds',
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
        summary: 'Check whether the service has started, which does not need its dependencies',
        response: { 200: healthSchema }
      }
    },
    async () => currentHealth()
  )
}

export default routes
