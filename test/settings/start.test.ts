/** What production refuses to start with, and what it starts with all the same. */
import { spawn } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ConfigError, loadConfig } from '../../config.ts'
import { waitFor } from '../helpers/wait.ts'
import { goodSecret, production, startAndStop, startService } from './service-process.ts'

/** Runs so many at a time: each start takes a second of a processor. */
async function each<T> (items: T[], check: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  await Promise.all([1, 2].map(async () => {
    for (const item of rest) await check(item)
  }))
}

t.test('a start that is refused says so in one line that names the setting', async (t) => {
  const ca = '/nowhere/ca.pem'
  type Refused = [what: string, env: Record<string, string>, message: RegExp]
  const refused: Refused[] = [
    [
      'a published secret',
      { JWT_SECRET: 'your-super-secret-jwt-key-change-in-production-minimum-32-chars' },
      /^JWT_SECRET: .*openssl rand -base64 48/
    ],
    ['one character', { JWT_SECRET: 'a'.repeat(32) }, /^JWT_SECRET: .*openssl rand -base64 48/],
    ['blanks', { JWT_SECRET: ' '.repeat(32) }, /^JWT_SECRET: /],
    [
      'a published previous secret',
      { JWT_SECRET_PREVIOUS: 'voice-ferry-secret-key-change-in-production' },
      /^JWT_SECRET_PREVIOUS: .*openssl rand -base64 48/
    ],
    ['an empty secret', { JWT_SECRET: '' }, /^JWT_SECRET: must be set in production/],
    ['a secret that is a line break', { JWT_SECRET: '\n' }, /^JWT_SECRET: must be set/],
    ['another name of production', { NODE_ENV: 'prod' }, /^NODE_ENV: .*production/],
    [
      'a provider without an issuer',
      { JWT_JWKS_URL: 'https://127.0.0.1:1/jwks', JWT_PROVIDER_AUDIENCE: 'x' },
      /^JWT_PROVIDER_ISSUER: /
    ],
    [
      'a provider without an audience',
      { JWT_JWKS_URL: 'https://127.0.0.1:1/jwks', JWT_PROVIDER_ISSUER: 'x' },
      /^JWT_PROVIDER_AUDIENCE: /
    ],
    [
      'a password with a percent sign as it is',
      { REDIS_URL: 'redis://:hunter2%zz@127.0.0.1:1' },
      /^REDIS_URL: (?!.*hunter2).*%25/
    ],
    ['TLS and a URL in clear', { REDIS_TLS: 'true' }, /^REDIS_URL: .*rediss:\/\//],
    ['an authority and no TLS', { REDIS_TLS_CA: ca }, /^REDIS_TLS_CA: .*TLS/],
    [
      'an authority and no TLS to a host',
      { REDIS_URL: '', REDIS_HOST: '127.0.0.1', REDIS_TLS_CA: ca },
      /^REDIS_TLS_CA: .*REDIS_TLS=true/
    ],
    [
      "etcd's authority and no TLS",
      { ETCD_ENDPOINTS: 'https://127.0.0.1:1,http://127.0.0.1:2', ETCD_TLS_CA: ca },
      /^ETCD_ENDPOINTS: .*https:\/\//
    ],
    ['no Redis', { REDIS_URL: '' }, /^REDIS_URL: .*MOCK_SESSION_LIMITS=true/],
    [
      'no Redis because of a slip of the pen',
      { REDIS_URL: '', REDIS_ULR: 'redis://:hunter2@x' },
      /^REDIS_URL: (?!.*hunter2).*REDIS_ULR/
    ],
    ...['0.0.0.0/0', '10.0.0.1/0', '::/0', '::ffff:0:0/96', '::ffff:10.0.0.0/96', '::/1'].map(
      (network): Refused => [
        `every address as a proxy: ${network}`,
        { TRUSTED_PROXIES: `10.0.0.1,${network}` },
        /^TRUSTED_PROXIES: must not be everybody/
      ]
    ),
    [
      'a prefix that opens a brace, in a Cluster',
      { REDIS_CLUSTER_NODES: '127.0.0.1:1', REDIS_KEY_PREFIX: 'a{b' },
      /^REDIS_KEY_PREFIX: .*Cluster/
    ]
  ]
  for (const [what, env, message] of refused) {
    try {
      loadConfig({ ...production(), ...env })
      t.fail(`${what} was taken`)
    } catch (error) {
      t.ok(error instanceof ConfigError, what)
      t.match((error as Error).message, message, what)
      t.notMatch((error as Error).message, /\n/, `${what}: one line`)
    }
  }
  // A start takes a second of a processor, so that not each of them is one.
  const asProcess = new Set(['a published secret', 'another name of production', 'no Redis'])
  await each(
    refused.filter(([what]) => asProcess.has(what)),
    async ([what, env, message]) => {
      const { code, stdout, stderr } = await startAndStop(t, { ...production(), ...env })
      t.equal(code, 1, what)
      t.match(stderr, message, what)
      t.match(stderr, /^[^\n]*\n$/, `${what}: one line`)
      t.equal(stdout, '', what)
    }
  )
})

t.test('a start that is right', async (t) => {
  const { REDIS_URL, ...noRedis } = production()
  const right: Array<[what: string, env: Record<string, string>]> = [
    ['a secret that ends in a line break', { ...production(), JWT_SECRET: `${goodSecret()}\r\n` }],
    ['memory, asked for', { ...noRedis, MOCK_SESSION_LIMITS: 'True' }],
    ['the ports that Kubernetes sets', { ...production(), REDIS_PORT: 'tcp://10.96.0.12:6379' }],
    [
      'the ports that Kubernetes sets, beside a host',
      {
        ...noRedis,
        REDIS_HOST: '127.0.0.1',
        REDIS_PORT: 'tcp://10.96.0.12:6379',
        REDIS_SERVICE_HOST: '10.96.0.12',
        REDIS_SERVICE_PORT: '6379',
        REDIS_PORT_6379_TCP_ADDR: '10.96.0.12'
      }
    ],
    [
      'words in capital letters',
      { ...production(), NODE_ENV: ' Production ', LOG_LEVEL: 'INFO', BIND_NODES: 'TRUE' }
    ]
  ]
  for (const [what, env] of right) t.ok(loadConfig(env), what)
  await each(right.slice(-2), async ([what, env]) => {
    const { code, stdout, stderr } = await startAndStop(t, env)
    t.equal(code, 0, what)
    t.equal(stderr, '', what)
    t.match(stdout, /Server listening/, what)
    t.notMatch(stdout, /TOKEN|eyJ|this service does not know/, what)
  })
})

t.test('a setting that does not exist is named, and what is meant', async (t) => {
  const { stdout } = await startAndStop(
    t,
    { ...production(), RATE_LIMIT_MAXIMUM: '5', JWT_EXPIRES_IN: '24h', HOSTNAME: 'x' },
    'REDIS_ULR=redis://:hunter2@x\nTRUSTED_PROXY=10.0.0.1\n'
  )
  const line = stdout.split('\n').find((one) => one.includes('this service does not know')) ?? ''
  t.match(line, /"level":40/)
  t.match(line, /REDIS_ULR[^,]*REDIS_URL/)
  t.match(line, /RATE_LIMIT_MAXIMUM[^,]*RATE_LIMIT_MAX/)
  t.match(line, /TRUSTED_PROXY[^,]*TRUSTED_PROXIES/)
  t.match(line, /JWT_EXPIRES_IN/)
  t.notMatch(line, /HOSTNAME|hunter2/)
})

t.test('a run without a secret listens where only this machine reaches it', async (t) => {
  await each(
    [
      [{}, '127.0.0.1', true],
      [{ NODE_ENV: 'Development', HOST: '0.0.0.0' }, '.*', true],
      [{ JWT_SECRET: goodSecret() }, '.*', false]
    ] as Array<[Record<string, string>, string, boolean]>,
    async ([env, host, welcome]) => {
      const { stdout } = await startAndStop(t, env)
      const addresses = [...stdout.matchAll(/Server listening at http:\/\/([^"]+):/g)]
      for (const [, address] of addresses) t.match(address, new RegExp(`^${host}$`))
      t.ok(host !== '127.0.0.1' || addresses.length === 1)
      t.equal(/export TOKEN=/.test(stdout), welcome, JSON.stringify(env))
    }
  )
})

t.test('a port in use is said, also where nothing is logged', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const PORT = String((other.address() as AddressInfo).port)
  const env = { ...production(), HOST: '127.0.0.1', PORT, LOG_LEVEL: 'silent' }
  const { code, stderr } = await startService(t, env).ended
  t.equal(code, 1)
  t.match(stderr, new RegExp(`^HOST, PORT: [^\n]*${PORT}[^\n]*\n$`), 'one line that names the port')
})

t.test('a terminal does not show the password that is hashed', async (t) => {
  const program = fileURLToPath(new URL('../../dist/scripts/hash-password.js', import.meta.url))
  const command = `"${process.execPath}" "${program}"`
  const terminal = spawn('script', ['-qec', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  t.teardown(() => terminal.kill('SIGKILL'))
  let shown = ''
  terminal.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
  })
  const ended = once(terminal, 'close')
  await waitFor(() => shown.includes('Password'), { what: 'the prompt', deadlineMs: 60_000 })
  terminal.stdin.write('correct horse battery\n')
  await ended
  t.match(shown, /\$scrypt\$ln=17/)
  t.notMatch(shown, /correct|horse/)
})
