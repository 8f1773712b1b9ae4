/**
 * The settings as documented, what happens to wrong ones, and the first start of what `npm run
 * build` made.
 */
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ConfigError, loadConfig } from '../../config.ts'
import { SettingsSchema } from '../../schemas/settings.ts'
import { envExample, settingsTable } from '../../scripts/write-settings.ts'
import { waitFor } from '../helpers/wait.ts'

const root = new URL('../../', import.meta.url)
const server = fileURLToPath(new URL('dist/server.js', root))
const SECRET = randomBytes(48).toString('base64')
const HASH = `$scrypt$ln=17,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

t.test('.env.example and docs/settings.md are up to date', async (t) => {
  t.equal(
    readFileSync(new URL('.env.example', root), 'utf8'),
    envExample(),
    'run `npm run settings` and commit what it writes'
  )
  t.equal(
    readFileSync(new URL('docs/settings.md', root), 'utf8'),
    settingsTable(),
    'run `npm run settings` and commit what it writes'
  )
})

t.test('every setting is described, and .env.example has the defaults', async (t) => {
  for (const [name, { description }] of Object.entries(SettingsSchema.properties)) {
    t.match(name, /^[A-Z][A-Z0-9_]+$/)
    t.match(description, /\.$/, `${name} is described`)
  }
  const lines = envExample()
    .split('\n')
    .flatMap((line) => /^# ([A-Z][A-Z0-9_]+)=(.*)$/.exec(line)?.slice(1, 3) ?? [])
  const env = Object.fromEntries(
    lines.flatMap((name, i) => (i % 2 === 0 ? [[name, lines[i + 1]]] : []))
  )
  t.strictSame(Object.keys(env), Object.keys(SettingsSchema.properties))
  t.strictSame(loadConfig(env), loadConfig({}))
})

t.test('a wrong setting is refused with its name and what is allowed', async (t) => {
  const wrong: Array<[env: Record<string, string>, message: RegExp]> = [
    [{ PORT: 'abc' }, /^PORT: must be a whole number from 0 to 65535, such as 3001, not "abc"/],
    [{ PORT: '65536' }, /^PORT: must be a whole number from 0 to 65535, .*, not "65536"/],
    [{ PORT: '0x10' }, /^PORT: must be a whole number/],
    [{ PORT: '1e3' }, /^PORT: must be a whole number/],
    [{ REDIS_TLS: 'maybe' }, /^REDIS_TLS: must be true or false, not "maybe"/],
    [
      { LOG_LEVEL: 'loud' },
      /^LOG_LEVEL: must be one of fatal, .*, silent, not "loud"/
    ],
    [
      { SESSION_LIMIT_ACTION: 'kill' },
      /^SESSION_LIMIT_ACTION: .* reject, terminate_oldest, observe, not "kill"/
    ],
    [
      { REDIS_URL: 'http://user:hunter2@host' },
      /^REDIS_URL: must be a URL that begins with redis:\/\/ or rediss:\/\/, such as (?!.*hunter2)/
    ],
    [{ REDIS_URL: 'redis://user:hunter2@host:port' }, /^REDIS_URL: must be a URL(?!.*hunter2)/],
    [{ ETCD_ENDPOINTS: 'etcd:2379' }, /^ETCD_ENDPOINTS: must be URLs .*, such as http:/],
    [{ REDIS_CLUSTER_NODES: 'u:hunter2@redis:6379' }, /^REDIS_CLUSTER_NODES: (?!.*hunter2)/],
    [{ CORS_ORIGINS: 'https://u:hunter2@console' }, /^CORS_ORIGINS: (?!.*hunter2)/],
    [{ TRUSTED_PROXIES: '10.0.0.1, proxy' }, /^TRUSTED_PROXIES: must be IP addresses or networks/],
    [{ TRUSTED_PROXIES: '::/0' }, /^TRUSTED_PROXIES: must not be everybody/],
    [{ RATE_LIMIT_EXEMPT_ROLES: 'swich' }, /^RATE_LIMIT_EXEMPT_ROLES: must be roles/],
    [{ ETCD_USERNAME: 'ferry' }, /^ETCD_PASSWORD: must be set because ETCD_USERNAME is set/],
    [{ ADMIN_PASSWORD_HASH: HASH }, /^ADMIN_USERNAME: must be set because ADMIN_PASSWORD_HASH is set/],
    [
      { ADMIN_USERNAME: 'admin', ADMIN_PASSWORD_HASH: '$scrypt$hunter2' },
      /^ADMIN_PASSWORD_HASH: must be a hash (?!.*hunter2)/
    ],
    [{ JWT_SECRET: 'hunter2' }, /^JWT_SECRET: must have at least 32 bytes(?!.*hunter2)/],
    [{ NODE_ENV: 'production' }, /^JWT_SECRET: must be set in production/],
    [
      { NODE_ENV: 'production', JWT_SECRET: 'changeme'.repeat(4) },
      /^JWT_SECRET: must not be a well-known default(?!.*changemechange)/
    ]
  ]
  for (const [env, message] of wrong) {
    try {
      loadConfig(env)
      t.fail(`${JSON.stringify(env)} was taken`)
    } catch (error) {
      t.ok(error instanceof ConfigError)
      t.match((error as Error).message, message)
      t.notMatch((error as Error).message, /\n/, 'one line')
    }
  }
  t.equal(loadConfig({ PORT: '', REDIS_HOST: '' }).PORT, 3001, 'an empty value is none')
})

t.test('a wrong setting stops the start with one line of log', async (t) => {
  const starts: Array<[env: Record<string, string>, message: RegExp]> = [
    [{ PORT: 'abc' }, /^PORT: must be a whole number[^\n]*, not "abc"[^\n]*\n$/],
    [{ NODE_ENV: 'production' }, /^JWT_SECRET: must be set in production[^\n]*\n$/],
    [
      { NODE_ENV: 'production', JWT_SECRET: 'hunter2' },
      /^JWT_SECRET: must have at least 32 bytes[^\n]*\n$/
    ],
    [
      { REDIS_TLS: 'true', REDIS_TLS_CERT: '/nowhere.pem', REDIS_TLS_KEY: '/nowhere.pem' },
      /^REDIS_TLS_CERT: must name a PEM file[^\n]*\n$/
    ]
  ]
  await Promise.all(
    starts.map(async ([env, message]) => {
      const { code, stdout, stderr } = await run(t, env).ended
      t.equal(code, 1, JSON.stringify(env))
      t.match(stderr, message)
      t.notMatch(stderr, /hunter2/)
      t.equal(stdout, '')
    })
  )
})

t.test('.env is read, and the environment overrides it', async (t) => {
  const fromFile = await run(t, {}, 'PORT=abc\nREDIS_HOST=\n').ended
  t.match(fromFile.stderr, /^PORT: must be a whole number .*, not "abc"/)
  const fromBoth = await run(t, { PORT: '-1' }, 'PORT=abc\n').ended
  t.match(fromBoth.stderr, /^PORT: must be a whole number .*, not "-1"/)
})

t.test('a first start: it listens, and what it prints works as printed', async (t) => {
  const { findTools } = (await import(new URL('scripts/tools.mjs', root).href)) as {
    findTools: () => { curl: string }
  }
  const service = run(t, { PORT: '0' }, 'REDIS_HOST=\n')
  const shown = await waitFor(
    () => /All requests: (\S+)\/docs/.exec(service.output.stdout) && service.output.stdout,
    {
      what: 'the welcome',
      deadlineMs: 60_000
    }
  )
  const lines = shown.split('\n').filter((line) => line.startsWith('  '))
  t.equal(lines.length, 7, 'a token, an address, how to ask, and four requests')
  const base = /(http:\/\/localhost:\d+)\/docs/.exec(shown)?.[1] ?? ''
  const live = await fetch(`${base}/healthz/live`)
  t.equal(live.status, 200)
  t.strictSame(await live.json(), { status: 'ok' })

  const printed = execFileSync('sh', ['-e', '-c', lines.join('\n')], {
    encoding: 'utf8',
    env: { PATH: `${dirname(findTools().curl)}${delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const [set, admitted, refused, released, ...more] = printed.split('\n')
  t.match(set, /^\{"success":true,"username":"alice","limit":1,.*\} 200$/)
  t.match(admitted, /^\{"allowed":true,.*\} 201$/)
  t.match(refused, /"code":"session_limit_reached".*\} 409$/)
  t.match(released, /"released":true.*\} 200$/)
  t.strictSame(more, [''], 'each answer stands on a line of its own')

  service.child.kill('SIGTERM')
  const { code, stderr } = await service.ended
  t.equal(code, 0)
  t.equal(stderr, '')
})

t.test('production prints no token, and starts without its identity provider', async (t) => {
  await Promise.all(
    [
      { JWT_SECRET: SECRET },
      {
        JWT_JWKS_URL: 'https://127.0.0.1:1/jwks.json',
        JWT_PROVIDER_ISSUER: 'https://127.0.0.1:1',
        JWT_PROVIDER_AUDIENCE: 'session-limits'
      }
    ].map(
      async (keys) => {
        const service = run(t, {
          PORT: '0',
          HOST: '127.0.0.1',
          NODE_ENV: 'production',
          MOCK_SESSION_LIMITS: 'true',
          ...keys
        })
        await waitFor(() => service.output.stdout.includes('Server listening'), {
          what: 'the start',
          deadlineMs: 60_000
        })
        service.child.kill('SIGTERM')
        const { code, stdout } = await service.ended
        t.equal(code, 0)
        t.notMatch(stdout, /TOKEN|eyJ/)
        t.notMatch(stdout, SECRET)
      }
    )
  )
})

/**
 * Starts what the build made, with nothing in its environment but what is given, in a folder of its
 * own.
 */
function run (t: Pick<Test, 'teardown'>, env: Record<string, string>, dotenv?: string) {
  if (!existsSync(server)) {
    throw new Error('There is no dist/: run `npm run build`, or all tests by `npm test`.')
  }
  const folder = mkdtempSync(join(tmpdir(), 'session-limits-'))
  if (dotenv !== undefined) writeFileSync(join(folder, '.env'), dotenv)
  const child = spawn(process.execPath, [server], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString()
  })
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }))
  return { child, output, ended }
}
