import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { freePort } from './ports.ts'
import { type ServerProcess, type Teardown, startProcess, temporaryFolder } from './process.ts'
import { programs } from './programs.ts'
import { type CliTarget, loadRedis, runCli } from './redis-cli.ts'
import { type Certificates, makeCertificates } from './tls.ts'

/** How to start a Redis server. */
export interface RedisOptions {
  /** More options of redis-server, such as ['--appendonly', 'yes']; they win over the defaults. */
  args?: string[]
  password?: string
  /** Answers TLS only. Clients need the certificate authority; a client certificate is optional. */
  tls?: boolean
  /** Certificates for TLS, where several servers have to trust each other. */
  certificates?: Certificates
  port?: number
  /** Data folder. Default: a temporary one. */
  dir?: string
  /** Configuration file, for servers that must rewrite it (sentinels). */
  config?: string
  /** Variables that its environment has besides ours. */
  env?: Record<string, string>
}

/** A running Redis server. */
export interface RedisServer extends ServerProcess, CliTarget {
  readonly url: string
  /** Runs redis-cli and returns what it prints; rejects when Redis answers with an error. */
  cli(...args: string[]): Promise<string>
  /**
   * Sends a file or buffer in Redis protocol through redis-cli --pipe; returns the number of
   * replies.
   */
  load(resp: string | Buffer): Promise<number>
  /**
   * Starts it again on the same port, stopping it first if it runs; `keepData` keeps what it holds
   * or had saved.
   */
  restart(options?: { keepData?: boolean }): Promise<void>
}

/** Starts redis-server on loopback, by default without persistence, and waits until it answers. */
export async function startRedis (t: Teardown, options: RedisOptions = {}): Promise<RedisServer> {
  const dir = options.dir ?? temporaryFolder(t)
  const port = options.port ?? (await freePort())
  const files =
    options.certificates ?? (options.tls ? await makeCertificates(temporaryFolder(t)) : undefined)
  const target: CliTarget = {
    host: '127.0.0.1',
    port,
    ...(options.password !== undefined && { password: options.password }),
    ...(files && { tls: { ca: files.ca, ...files.client } })
  }
  const args = [
    ...(options.config
      ? [options.config]
      : ['--save', '', '--appendonly', 'no', '--loglevel', 'warning']),
    '--daemonize',
    'no',
    '--bind',
    target.host,
    '--dir',
    dir,
    ...(files
      ? [
          '--port',
          '0',
          '--tls-port',
          String(port),
          '--tls-auth-clients',
          'optional',
          '--tls-replication',
          'yes',
          '--tls-ca-cert-file',
          files.ca,
          '--tls-cert-file',
          files.server.cert,
          '--tls-key-file',
          files.server.key
        ]
      : ['--port', String(port)]),
    ...(options.password
      ? ['--requirepass', options.password, '--masterauth', options.password]
      : []),
    ...(options.args ?? [])
  ]
  const launch = async (): Promise<ServerProcess> =>
    await startProcess(
      programs.redisServer,
      args,
      async () => await answersPing(target),
      options.env
    )

  let current = await launch()
  t.teardown(async () => await current.kill())
  return {
    ...target,
    url: `redis${files ? 's' : ''}://${credentials(options.password)}${target.host}:${port}`,
    get pid () {
      return current.pid
    },
    stop: async () => await current.stop(),
    kill: async () => await current.kill(),
    pause: () => current.pause(),
    resume: () => current.resume(),
    cli: async (...words) => await runCli(target, words),
    load: async (resp) => await loadRedis(target, resp),
    async restart ({ keepData = false } = {}) {
      // Fails where nothing runs any more: then what had been saved is all there is.
      if (keepData) await runCli(target, ['SAVE']).catch(() => {})
      await current.stop()
      if (!keepData) {
        for (const name of ['dump.rdb', 'appendonlydir']) {
          await rm(join(dir, name), { recursive: true, force: true })
        }
      }
      current = await launch()
    }
  }
}

function credentials (password: string | undefined): string {
  return password ? `:${encodeURIComponent(password)}@` : ''
}

/** Whether the server answers PING, be it only to ask for a password. */
async function answersPing ({ host, port, tls }: CliTarget): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket: Socket = tls
      ? connectTls({ host, port, ca: readFileSync(tls.ca), checkServerIdentity: () => undefined })
      : connect({ host, port })
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => done(false))
    socket.on('error', () => done(false))
    socket.on('close', () => done(false))
    socket.on('data', (data) => done(/^(\+PONG|-NOAUTH|-NOPERM)/.test(data.toString())))
    socket.write('PING\r\n')
  })
}
