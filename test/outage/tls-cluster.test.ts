/**
 * A Cluster behind TLS whose certificates name hosts: its nodes name each other by address, or by
 * names that the operator has given them.
 */
import t from 'tap'
import { ADMIN, as, PATIENT, startApp } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { startCluster, waitFor } from '../helpers/servers.ts'
import { makeCertificates } from '../helpers/tls.ts'
import { startOn } from './service.ts'

const certificates = await makeCertificates(temporaryFolder(t), 'DNS:localhost')
const TLS = {
  REDIS_TLS: 'true',
  REDIS_TLS_CA: certificates.ca,
  REDIS_TLS_CERT: certificates.client.cert,
  REDIS_TLS_KEY: certificates.client.key
}

/** What servers call themselves. */
const ANNOUNCED = {
  'by their addresses': [],
  'by their names': [
    '--cluster-announce-hostname',
    'localhost',
    '--cluster-preferred-endpoint-type',
    'hostname'
  ]
}

for (const [how, args] of Object.entries(ANNOUNCED)) {
  t.test(`its nodes name each other ${how}: every user is admitted by Redis`, async (t) => {
    const { masters } = await startCluster(t, 3, 0, { certificates, args })
    const hosts = masters.map(({ port }) => `localhost:${port}`).join()
    const app = await startOn(t, { REDIS_CLUSTER_NODES: hosts, ...PATIENT, ...TLS })
    const send = as(app, ADMIN)
    const admit = async (user: string) =>
      await send('POST', '/api/sessions', { username: user, session_id: `of-${user}` })
    await waitFor(async () => (await admit('first')).body.degraded === false, {
      what: 'an admission by Redis'
    })
    for (let i = 0; i < 30; i++) {
      t.match(await admit(`u${i}`), { status: 201, body: { degraded: false } })
      t.match(await send('DELETE', `/api/sessions/of-u${i}`), { body: { released: true } })
    }
    const { body } = await send('GET', '/healthz/ready')
    t.match(body, { status: 'ok', components: { redis: { status: 'up' } } })
  })
}

t.test('a certificate that names none of the configured hosts is refused', async (t) => {
  const { masters } = await startCluster(t, 3, 0, { certificates })
  const hosts = masters.map(({ host, port }) => `${host}:${port}`).join()
  const app = await startApp(t, { REDIS_CLUSTER_NODES: hosts, ...PATIENT, ...TLS })
  const send = as(app, ADMIN)
  await waitFor(async () => (await send('GET', '/healthz/ready')).body.warnings.length > 0, {
    what: 'a warning'
  })
  const { body } = await send('GET', '/healthz/ready')
  t.match(body, { components: { redis: { status: 'down' } } })
  t.match(JSON.stringify(body.warnings), /certificate/i, 'which says why')
})
