/** Health of Redis and etcd, watched in the background: `app.health`. */
import type { ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { HealthMonitor } from '../services/health/health-monitor.ts'

declare module 'fastify' {
  interface FastifyInstance {
    health: HealthMonitor
    /**
     * Before a close: from now on the service is not ready, and its connections end with the answer
     * they are waiting for.
     */
    drain: () => void
  }
}

export default fp(
  async (app) => {
    const { config, redisLatencyMs, redisIsPartial, refusals, etcd } = app
    const monitor = new HealthMonitor(
      {
        redis: redisLatencyMs && {
          check: async () => redisLatencyMs(),
          required: config.OUTAGE_MODE === 'deny',
          isPartial: () => redisIsPartial() || refusals?.areRecent === true
        },
        etcd: etcd && {
          check: async (signal) => await etcd.health(signal),
          required: config.ETCD_REQUIRED
        }
      },
      (name, status) =>
        app.log[status === 'up' ? 'info' : 'warn'](
          { component: name, status },
          `${name} is ${status}`
        )
    )
    app.decorate('health', monitor)
    app.decorate('drain', () => {
      monitor.drain()
      // A client that is told so opens its next connection elsewhere, rather than lose a request on
      // one that is closing.
      app.server.prependListener('request', (_request, response: ServerResponse) =>
        response.setHeader('connection', 'close')
      )
    })
    app.addHook('onReady', async () => await monitor.start())
    app.addHook('onClose', () => monitor.stop())
  },
  { name: 'health', dependencies: ['stores', 'etcd'] }
)
