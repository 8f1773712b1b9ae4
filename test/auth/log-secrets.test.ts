/** No log has a secret. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../app.ts'
import { loadConfig } from '../../config.ts'
import { TEST_SECRET, as, listen, tokenFor } from '../helpers/app.ts'
import { sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/servers.ts'
import { waitFor } from '../helpers/wait.ts'
import { Log, HASH, PASSWORD, root, service } from './logged-service.ts'

t.test('logs have no secrets', async (t) => {
  const redisPassword = 'the password of redis, hunter2'

  t.test('whatever part of a request has one', async (t) => {
    const { log, app } = await service(t, {}, 'trace')
    const token = tokenFor(app, root)
    const port = Number(new URL(await listen(app)).port)
    const bearer = { authorization: `Bearer ${token}` }
    const {
      body: { token: fromLogin }
    } = await as(app, null)('POST', '/api/auth/login', { username: 'root', password: PASSWORD })
    const login = async (body: object | string) =>
      await as(app, null)('POST', '/api/auth/login', body)
    await login({ username: PASSWORD, password: 'x' })
    await login({ username: 'root', password: `${PASSWORD}!` })
    await login({ username: 'root', password: PASSWORD, extra: PASSWORD })
    await login(`{"username":"root","password":"${PASSWORD}",}`)
    await login(`{"username":"root","password":"${PASSWORD}"`)
    await login({ [PASSWORD]: PASSWORD, [token]: token })
    for (const claims of [null, root, { sub: 'nobody' }]) {
      const send = as(app, claims)
      for (const headers of [
        bearer,
        { authorization: `Bearer ${token}x` },
        { authorization: token },
        { authorization: `Basic ${token}` },
        { 'x-api-key': token },
        { authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` },
        { cookie: `token=${token}` },
        { 'x-access-token': token },
        { 'proxy-authorization': `Bearer ${token}` },
        { 'x-request-id': token },
        { 'content-type': token },
        { accept: token },
        { origin: token },
        { referer: token },
        { 'user-agent': token }
      ]) {
        for (const url of [
          '/api/sessions/limits/alice',
          `/api/sessions/limits/alice?token=${token}`,
          `/nowhere/${token}?access_token=${token}`,
          `/api/sessions/limits/${token}`,
          `/healthz/live?token=${token}`,
          `/docs/${token}`,
          `/%zz${token}`
        ]) {
          await send('GET', url, undefined, headers)
          await send('PUT', url, { limit: token, [token]: PASSWORD }, headers)
          await send('PUT', url, `{"limit":"${token}" "${PASSWORD}"`, headers)
          await send('DELETE', url, undefined, headers)
        }
      }
    }
    for (const bytes of [
      `GET /${token} FTP/1.1\r\n\r\n`,
      `${token}\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: x\r\nBad ${token}: ${PASSWORD}\r\n\r\n`
    ]) {
      await sendRaw(port, bytes)
    }
    t.ok(log.text.split('\n').length > 20, 'there is a log')
    const secrets = {
      token,
      fromLogin,
      'its signature': token.split('.')[2] ?? '',
      password: PASSWORD,
      hash: HASH,
      secret: TEST_SECRET
    }
    for (const [what, secret] of Object.entries(secrets)) {
      t.notOk(log.text.includes(secret), `${what} is not in it`)
    }
  })

  t.test('whatever fails at Redis and etcd', async (t) => {
    const redis = await startRedis(t)
    await redis.cli('ACL', 'SETUSER', 'ferry', 'on', '>another password', '~*', '+@all')
    const { hostname, port } = new URL(redis.url)
    const secret = encodeURIComponent(redisPassword)
    const refusing = createServer((_request, response) => response.writeHead(503).end('no'))
    refusing.listen(0, '127.0.0.1')
    await once(refusing, 'listening')
    t.teardown(() => refusing.close())
    const http = `127.0.0.1:${(refusing.address() as AddressInfo).port}`
    const envs: Record<string, Record<string, string>> = {
      'etcd that refuses a password in its URL': {
        ETCD_ENDPOINTS: `http://ferry:${secret}@${http},http://ferry:${secret}@127.0.0.1:1`,
        ETCD_POLICY_KEY: 'x'
      },
      'a wrong password': {
        REDIS_HOST: hostname,
        REDIS_PORT: port,
        REDIS_USERNAME: 'ferry',
        REDIS_PASSWORD: redisPassword
      },
      'a wrong password in a URL': { REDIS_URL: `redis://ferry:${secret}@${hostname}:${port}/0` },
      'no server': { REDIS_URL: `redis://ferry:${secret}@127.0.0.1:1/0` },
      'no Sentinel': {
        REDIS_SENTINELS: '127.0.0.1:1',
        REDIS_PASSWORD: redisPassword,
        REDIS_SENTINEL_PASSWORD: redisPassword
      },
      'no Cluster': {
        REDIS_CLUSTER_NODES: `${hostname}:${port}`,
        REDIS_USERNAME: 'ferry',
        REDIS_PASSWORD: redisPassword
      },
      'no etcd': {
        ETCD_ENDPOINTS: `http://127.0.0.1:1,http://${hostname}:${port}`,
        ETCD_USERNAME: 'ferry',
        ETCD_PASSWORD: redisPassword,
        ETCD_POLICY_KEY: 'x'
      }
    }
    for (const [what, env] of Object.entries(envs)) {
      const log = new Log()
      const app: FastifyInstance = await buildApp(
        loadConfig({ ...env, JWT_SECRET: TEST_SECRET }),
        TEST_SECRET,
        { logger: { level: 'trace', stream: log.stream } }
      )
      t.teardown(async () => await app.close())
      await app.ready()
      await as(app, root)('PUT', '/api/sessions/limits/alice', { limit: 3 })
      await as(app, root)('PUT', '/api/sessions/limits', { enabled: true })
      await waitFor(() => /ECONNREFUSED|WRONGPASS|"err"| answered 503/.test(log.text), {
        what: `the log to tell of ${what}`
      })
      for (const one of [redisPassword, secret, TEST_SECRET]) {
        t.notOk(log.text.includes(one), `${what}: not in the log`)
      }
    }
  })
})
