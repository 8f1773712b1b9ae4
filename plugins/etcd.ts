/** The etcd client, as `app.etcd`. */
import fp from 'fastify-plugin'
import type { TlsFiles } from '../config.ts'
import { commaList } from '../services/util/comma-list.ts'
import { EtcdClient } from '../services/etcd/etcd-client.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Null if etcd is not configured. */
    etcd: EtcdClient | null
  }
}

export default fp<{ tls: TlsFiles }>(
  async (app, { tls }) => {
    const {
      ETCD_ENDPOINTS: endpoints,
      ETCD_USERNAME: username,
      ETCD_PASSWORD: password
    } = app.config
    app.decorate(
      'etcd',
      endpoints === undefined
        ? null
        : new EtcdClient({ endpoints: commaList(endpoints), username, password, tls })
    )
  },
  { name: 'etcd', dependencies: ['config'] }
)
