import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { requestJson } from './json-request.ts'
import { freePort } from './ports.ts'
import { type ServerProcess, type Teardown, startProcess, temporaryFolder } from './process.ts'
import { programs } from './programs.ts'
import { makeCertificates } from './tls.ts'

/** How to start etcd. */
export interface EtcdOptions {
  /** Answers HTTPS only. */
  tls?: boolean
  /** Switches authentication on; this user may read and write every key. */
  auth?: { user: string; password: string }
}

/** A running etcd of one member, reached through its HTTP gateway. */
export interface EtcdServer extends ServerProcess {
  readonly url: string
  readonly host: string
  readonly port: number
  /** Files of the certificate authority and of a client certificate. */
  readonly tls?: { ca: string; cert: string; key: string }
  put(key: string, value: string): Promise<void>
  get(key: string): Promise<string | undefined>
  delete(key: string): Promise<void>
  /** Starts it again on the same port, stopping it first if it runs. */
  restart(options?: { keepData?: boolean }): Promise<void>
}

const everyKey = { key: base64('\0'), range_end: base64('\0') }

/** Starts one etcd on loopback and waits until it answers and, if asked to, demands a password. */
export async function startEtcd (t: Teardown, options: EtcdOptions = {}): Promise<EtcdServer> {
  const { auth } = options
  const dir = join(temporaryFolder(t), 'data')
  const [port, peerPort] = [await freePort(), await freePort()]
  const files = options.tls ? await makeCertificates(temporaryFolder(t)) : undefined
  const url = `http${files ? 's' : ''}://127.0.0.1:${port}`
  const peerUrl = `http://127.0.0.1:${peerPort}`
  const args = [
    '--name',
    'test',
    '--data-dir',
    dir,
    '--logger',
    'zap',
    '--log-level',
    'error',
    '--listen-client-urls',
    url,
    '--advertise-client-urls',
    url,
    '--listen-peer-urls',
    peerUrl,
    '--initial-advertise-peer-urls',
    peerUrl,
    '--initial-cluster',
    `test=${peerUrl}`,
    '--heartbeat-interval',
    '10',
    '--election-timeout',
    '100',
    '--bcrypt-cost',
    '4',
    ...(files ? ['--cert-file', files.server.cert, '--key-file', files.server.key] : [])
  ]
  const ca = files && readFileSync(files.ca)

  const call = async (
    path: string,
    body: object,
    token?: string
  ): Promise<Record<string, unknown>> =>
    await requestJson(`${url}/v3/${path}`, body, {
      ...(ca && { ca }),
      ...(token !== undefined && { headers: { authorization: token } })
    })
  const callAs = async (path: string, body: object): Promise<Record<string, unknown>> => {
    if (!auth) return await call(path, body)
    const { token } = await call('auth/authenticate', { name: auth.user, password: auth.password })
    return await call(path, body, String(token))
  }
  const launch = async (): Promise<ServerProcess> =>
    await startProcess(programs.etcd, args, async () => {
      const { health } = await requestJson(`${url}/health`, undefined, ca ? { ca } : {})
      return health === 'true'
    })
  const enableAuth = async (): Promise<void> => {
    if (!auth) return
    for (const user of new Set(['root', auth.user])) {
      await call('auth/user/add', { name: user, password: auth.password })
      await call('auth/role/add', { name: user })
      await call('auth/role/grant', { name: user, perm: { permType: 'READWRITE', ...everyKey } })
      await call('auth/user/grant', { user, role: user })
    }
    await call('auth/enable', {})
  }

  let current = await launch()
  t.teardown(async () => await current.kill())
  await enableAuth()
  return {
    url,
    host: '127.0.0.1',
    port,
    ...(files && { tls: { ca: files.ca, ...files.client } }),
    get pid () {
      return current.pid
    },
    stop: async () => await current.stop(),
    kill: async () => await current.kill(),
    pause: () => current.pause(),
    resume: () => current.resume(),
    async put (key, value) {
      await callAs('kv/put', { key: base64(key), value: base64(value) })
    },
    async get (key) {
      const { kvs } = (await callAs('kv/range', { key: base64(key) })) as {
        kvs?: Array<{ value?: string }>
      }
      return kvs?.[0] && Buffer.from(kvs[0].value ?? '', 'base64').toString()
    },
    async delete (key) {
      await callAs('kv/deleterange', { key: base64(key) })
    },
    async restart ({ keepData = false } = {}) {
      await current.stop()
      if (!keepData) await rm(dir, { recursive: true, force: true })
      current = await launch()
      if (!keepData) await enableAuth()
    }
  }
}

function base64 (text: string): string {
  return Buffer.from(text).toString('base64')
}
