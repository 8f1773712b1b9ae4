/** Health of Redis and etcd, watched in the background: `app.health`. */
import fp from 'fastify-plugin'
import type { TlsFiles } from '../config.ts'
import { EtcdClient } from '../services/etcd-client.ts'
import { HealthMonitor } from '../services/health/health-monitor.ts'

declare module 'fastify' {
  interface FastifyInstance { health: HealthMonitor }
}

export default fp<{ etcdTls: TlsFiles }>(async (app, { etcdTls }) => {
  const { config, redisGate } = app
  const etcd = config.ETCD_ENDPOINTS === undefined
    ? null
    : new EtcdClient({
      endpoints: config.ETCD_ENDPOINTS.split(',').map((endpoint) => endpoint.trim()),
      username: config.ETCD_USERNAME,
      password: config.ETCD_PASSWORD,
      ...etcdTls
    })
  const monitor = new HealthMonitor({
    redis: redisGate && { check: async () => { await redisGate.ask(redisGate.client.ping()) }, required: true },
    etcd: etcd && { check: async (signal) => await etcd.health(signal), required: config.ETCD_REQUIRED }
  }, (name, status) => app.log[status === 'up' ? 'info' : 'warn']({ component: name, status }, `${name} is ${status}`))
  app.decorate('health', monitor)
  app.addHook('onReady', async () => await monitor.start())
  app.addHook('onClose', () => monitor.stop())
}, { name: 'health', dependencies: ['stores'] })
