/** Why there is no connection to Redis, in words; files that are replaced; a policy with a slip. */
import { copyFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WatchedFile } from '../../services/util/watched-file.ts'
import { ADMIN, as, startApp } from '../helpers/app.ts'
import { freePort } from '../helpers/ports.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { startEtcd, startRedis, waitFor } from '../helpers/servers.ts'

type App = Awaited<ReturnType<typeof startApp>>

async function warnings (app: App): Promise<string[]> {
  return (await as(app, null)('GET', '/healthz/ready')).body.warnings
}

t.test('what is wrong with the connection is named', async (t) => {
  const locked = await startRedis(t, { password: 'right' })
  const secured = await startRedis(t, { tls: true })
  const plain = await startRedis(t)
  const at = ({ port }: { port: number }) => `127.0.0.1:${port}`
  for (const [what, url, words] of [
    ['a wrong password', `redis://:wrong@${at(locked)}`, /REDIS_PASSWORD/],
    ['no password', `redis://${at(locked)}`, /REDIS_PASSWORD/],
    ['an unknown host', 'redis://no-such-host.invalid:6379', /host of Redis is not known/],
    ['TLS to a plain port', `rediss://${at(plain)}`, /TLS/],
    ['no TLS to a TLS port', `redis://${at(secured)}`, /TLS/],
    ['an unknown authority', `rediss://${at(secured)}`, /REDIS_TLS_CA/]
  ] as const) {
    const lines: string[] = []
    const stream = { write: (line: string) => lines.push(line) }
    const app = await startApp(t, { REDIS_URL: url, LOG_LEVEL: 'warn' }, { logger: { stream } })
    await waitFor(async () => (await warnings(app)).length > 0, { what: `a warning: ${what}` })
    t.match(await warnings(app), [words], what)
    const said = lines.filter((line) => line.includes('"warning":"redis_connection"'))
    t.equal(said.length, 1, `${what}: it is logged once`)
    await app.close()
  }
  const nobody = `redis://127.0.0.1:${await freePort()}`
  t.same(await warnings(await startApp(t, { REDIS_URL: nobody })), [], 'a Redis that is down')
})

t.test('an outage is said in words and in short lines, each once', async (t) => {
  const redis = await startRedis(t)
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line) }
  const settings = { REDIS_URL: redis.url, LOG_LEVEL: 'info' }
  const app = await startApp(t, settings, { logger: { stream } })
  const said = (text: string) => lines.filter((line) => line.includes(text))
  t.equal(said('"msg":"policy in force"').length, 1, 'the policy at the start')
  await redis.stop()
  await waitFor(() => said('Redis is down').length > 0, { what: 'the outage to be logged' })
  t.match(said('Redis is down'), [/no connection to Redis|ECONN|Connection is closed/])
  t.equal((await as(app, ADMIN)('PUT', '/api/sessions/limits/a', { limit: 1 })).status, 503)
  t.ok(said('The store is unavailable').length > 0)
  for (const line of lines) {
    t.ok(line.length < 600, line)
    t.notMatch(line, /enableOfflineQueue|"stack":"[^"]/)
  }
})

t.test('a policy that refuses nobody is logged as a warning', async (t) => {
  const offs = [{ ENABLE_SESSION_LIMITS: 'false' }, { SESSION_LIMIT_ACTION: 'observe' }]
  for (const settings of offs) {
    const lines: string[] = []
    const stream = { write: (line: string) => lines.push(line) }
    await startApp(t, { ...settings, LOG_LEVEL: 'info' }, { logger: { stream } })
    t.match(lines.filter((line) => line.includes('policy in force')), [/"level":40.*refuses nobody/])
  }
})

t.test('a file that is replaced is read again; one that is gone stays known', async (t) => {
  const path = join(temporaryFolder(t), 'file.pem')
  const other = `${path}.new`
  writeFileSync(path, 'first')
  const file = new WatchedFile(path)
  t.equal(file.text, 'first')
  writeFileSync(other, 'next!')
  utimesSync(other, 1, 1)
  copyFileSync(other, path)
  await waitFor(() => file.text === 'next!', { what: 'the new text' })
})

t.test('a start while the policy in etcd has a slip of the pen', async (t) => {
  const etcd = await startEtcd(t)
  const key = '/limits'
  await etcd.put(key, '{"max_sessions_per_user": 2}')
  await etcd.put(key, '{"max_sessions_per_user": "two"}')
  await etcd.put(key, 'not JSON')
  const app = await startApp(t, { ETCD_ENDPOINTS: etcd.url, ETCD_POLICY_KEY: key })
  const { body } = await as(app, ADMIN)('GET', '/api/sessions/limits')
  t.equal(body.max_sessions_per_user, 2, 'what the others go by')
  t.match(await warnings(app), [/policy in etcd/])
  await etcd.put(key, '{"max_sessions_per_user": 3}')
  await waitFor(async () => (await warnings(app)).length === 0, { what: 'the end of it' })
})
