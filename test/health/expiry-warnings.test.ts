/** What ends within two weeks is in health: tokens and API keys in use, and certificates. */
import t from 'tap'
import { ADMIN, as, startApp } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { makeCertificates } from '../helpers/tls.ts'
import { waitFor } from '../helpers/wait.ts'

const DAY_SECONDS = 86_400
const now = () => Math.floor(Date.now() / 1000)

/** A service whose log is kept, and what its health warns of. */
async function start (t: Parameters<typeof startApp>[0], env = {}) {
  const lines: string[] = []
  const write = (line: string) => {
    lines.push(line)
  }
  const app = await startApp(t, { LOG_LEVEL: 'warn', ...env }, { logger: { stream: { write } } })
  const warnings = async (): Promise<string[]> =>
    (await app.inject('/healthz/ready')).json().warnings
  const until = async (pattern: RegExp) => {
    const isThere = async () => (await warnings()).some((text) => pattern.test(text))
    await waitFor(isThere, { what: String(pattern) })
  }
  return { app, lines, warnings, until }
}

t.test('a token in use that ends within 14 days is warned of, a short one is not', async (t) => {
  const { app, lines, warnings, until } = await start(t)
  const use = async (claims: object) =>
    await as(app, { ...ADMIN, ...claims })('GET', '/api/sessions/counts')
  await use({ sub: 'console', iat: now(), exp: now() + DAY_SECONDS / 2 })
  await use({ sub: 'fresh', iat: now(), exp: now() + 15 * DAY_SECONDS })
  t.equal(app.tokensInUse.endingBefore(Infinity, Date.now()).length, 1, 'one lives long')
  t.strictSame(await warnings(), [])
  await use({ sub: 'pbx-1', iat: now() - 300 * DAY_SECONDS, exp: now() + 13 * DAY_SECONDS })
  await until(/token in use ends within 14 days/)
  t.equal((await warnings()).length, 1)
  t.notMatch((await warnings()).join(), /pbx-1/, 'an anonymous caller learns no name')
  t.equal(lines.filter((line) => line.includes('token of pbx-1 ends at')).length, 1, 'the log does')
})

t.test('an API key in use that ends within 14 days is warned of', async (t) => {
  const folder = temporaryFolder(t)
  const { app, warnings, until } = await start(t, { API_KEYS_FILE: `${folder}/keys.json` })
  const made = await as(app, ADMIN)('POST', '/api/auth/api-keys', {
    name: 'pbx-2',
    role: 'switch',
    days: 7
  })
  t.equal(made.status, 201)
  t.strictSame(await warnings(), [], 'it is not in use')
  const headers = { 'x-api-key': made.body.key }
  t.equal((await app.inject({ url: '/api/sessions/counts', headers })).statusCode, 200)
  await until(/API key in use ends within 14 days/)
  await as(app, ADMIN)('DELETE', `/api/auth/api-keys/${made.body.id}`)
  await waitFor(async () => (await warnings()).length === 0, { what: 'the end of the warning' })
})

t.test('a certificate in a file that ends within 14 days is warned of', async (t) => {
  const folder = temporaryFolder(t)
  await makeCertificates(folder)
  const { warnings } = await start(t, {
    JWT_PUBLIC_KEYS: `${folder}/server.crt`,
    JWT_PROVIDER_ISSUER: 'https://id.example.com'
  })
  t.match(await warnings(), [/JWT_PUBLIC_KEYS ends within 14 days/])
})
