import t from 'tap'
import { verdict, type Figure, type Goal } from '../../bench/figure.ts'
import { counted, difference, estimate, ratio } from '../../bench/harness/estimate.ts'
import { inTurn } from '../../bench/harness/rounds.ts'
import { ANSWERS, CONSTANT_HANDLERS } from '../../bench/twins/answers.ts'
import { buildTwin } from '../../bench/twins/build-twin.ts'
import { loadConfig } from '../../config.ts'
import { startApp, TEST_SECRET, tokenFor } from '../helpers/app.ts'

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

t.test('the interval of the median is that of the sign test', async (t) => {
  // The ranks are those of published tables, for a confidence of at least 95 %.
  for (const [rounds, low, high] of [
    [6, 1, 6],
    [9, 2, 8],
    [12, 3, 10],
    [20, 6, 15],
    [25, 8, 18]
  ] as const) {
    const shuffled = upTo(rounds).sort((a, b) => ((a * 7) % 5) - ((b * 7) % 5))
    t.match(estimate(shuffled), { low, high, rounds, value: (rounds + 1) / 2 }, `${rounds} rounds`)
  }
  t.match(estimate(upTo(5)), { low: -Infinity, high: Infinity, value: 3 }, 'five are too few')
  t.match(estimate([1, 1, 1, 1, 1, 900]), { value: 1 }, 'one odd round does not move the median')
})

t.test('it holds the true median in at least 95 of 100 experiments', async (t) => {
  // Skewed on purpose: the median of this distribution is 1, its mean is far from that.
  const random = generator(20_261_125)
  const sample = () => Math.exp(3 * (random() - random()))
  let held = 0
  const experiments = 4000
  for (let i = 0; i < experiments; i++) {
    const { low, high } = estimate(Array.from({ length: 12 }, sample))
    if (low <= 1 && high >= 1) held++
  }
  // 96.1 % by the binomial distribution; three standard errors of 4,000 experiments are 0.9 %.
  t.ok(held / experiments > 0.952 && held / experiments < 0.97, `${held} of ${experiments}`)
})

t.test('rounds are paired: a slow round of both sides changes nothing', async (t) => {
  const twin = [10, 20, 30, 100, 10, 10]
  t.match(ratio(twin.map((us) => us * 1.1).map(round), twin), { low: 1.1, value: 1.1, high: 1.1 })
  t.match(difference(twin.map((us) => us + 3), twin), { low: 3, value: 3, high: 3 })
})

t.test('a goal is decided only by the whole interval', async (t) => {
  const of = (low: number, high: number, goal?: Goal) => {
    const figure: Figure = { what: 'it', measured: { value: 1.1, low, high, rounds: 12 }, goal }
    return verdict(figure)
  }
  t.equal(of(1.0, 1.15, { atMost: 1.15 }), 'met')
  t.equal(of(1.0, 1.2, { atMost: 1.15 }), 'not decided')
  t.equal(of(1.16, 1.2, { atMost: 1.15 }), 'short')
  t.equal(of(0.96, 0.99, { atLeast: 0.95 }), 'met')
  t.equal(of(0.94, 0.99, { atLeast: 0.95 }), 'not decided')
  t.equal(of(0.9, 0.94, { atLeast: 0.95 }), 'short')
  t.equal(of(-Infinity, Infinity, { atMost: 1e9 }), 'not decided', 'too few rounds decide nothing')
  t.equal(of(NaN, NaN, { atMost: 1 }), 'not decided')
  t.equal(of(1, 2), '', 'no goal, no verdict')
  t.equal(verdict({ what: 'it', measured: counted(390), goal: { atMost: 320 } }), 'short')
})

t.test('each side comes first in turn', async (t) => {
  const order: string[] = []
  const side = (name: string) => async () => order.push(name)
  const samples = await inTurn(3, { a: side('a'), b: side('b'), c: side('c') })
  t.same(order.join(''), 'abcbcacab')
  t.same(samples, { a: [1, 6, 8], b: [2, 4, 9], c: [3, 5, 7] }, 'each sample with its own side')
})

t.test('the bare twin answers as the service does', async (t) => {
  const settings = { MOCK_SESSION_LIMITS: 'true', LOG_LEVEL: 'silent', JWT_SECRET: TEST_SECRET }
  const service = await startApp(t, settings)
  const twin = await buildTwin(loadConfig(settings), CONSTANT_HANDLERS)
  t.teardown(async () => await twin.close())
  const session = { username: 'user-00000001', session_id: 'call-0000000001', node: 'pbx-1' }
  const requests = [
    ['PUT', '/api/sessions/limits/user-00000002', { limit: 25 }],
    ['GET', '/api/sessions/limits/user-00000002'],
    ['POST', '/api/sessions', { ...session, ttl: 3600 }],
    ['POST', '/api/sessions/call-0000000001/renew', { username: session.username, ttl: 3600 }],
    ['DELETE', '/api/sessions/call-0000000001?username=user-00000001']
  ] as const
  const authorization = `Bearer ${tokenFor(service, { sub: 'switch', role: 'admin' })}`
  for (const [method, url, payload] of requests) {
    const request = { method, url, headers: { authorization }, ...(payload && { payload }) }
    const answer = await service.inject(request)
    if (method === 'PUT') continue
    const constant = await twin.inject(request)
    const shape = ({ statusCode, headers, body }: typeof answer) => ({
      statusCode,
      headers: Object.keys(headers).sort(),
      members: members(JSON.parse(body)),
      length: body.length
    })
    t.same(shape(constant), shape(answer), `${method} ${url}`)
  }
  t.same(Object.keys(ANSWERS).length, requests.length - 1, 'every constant is compared')
})

t.test('a twin with a handler for a route that the service lacks is not built', async (t) => {
  const settings = loadConfig({ LOG_LEVEL: 'silent', JWT_SECRET: TEST_SECRET })
  await t.rejects(
    buildTwin(settings, { 'POST /api/nowhere': async () => 'here' }),
    /the service has no route POST \/api\/nowhere/
  )
})

/** The names and types of all members, nested ones included. */
function members (value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value
  if (Array.isArray(value)) return value.map(members)
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, members(of)]))
}

function round (value: number): number {
  return Math.round(value * 1000) / 1000
}

/** Random numbers from 0 to 1, the same in every run (mulberry32). */
function generator (seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
