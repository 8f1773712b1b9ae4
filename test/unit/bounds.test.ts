/** What callers can fill is bounded: each test fills one thing. The table is in security.md. */
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { LineBudget } from '../../services/auth/audit-bounds.ts'
import { TokensInUse } from '../../services/auth/tokens-in-use.ts'
import { TokenVerifier, type JwtLibrary } from '../../services/auth/token-verifier.ts'
import { secretKey } from '../../services/auth/verification-key.ts'
import { Outbox } from '../../services/outage/outbox.ts'
import { UserEnds } from '../../services/outage/user-ends.ts'
import { LeaseTable } from '../../services/sessions/memory/lease-table.ts'
import { noteReport } from '../../services/sessions/memory/node-reports.ts'
import { reported } from '../conformance/words.ts'
import { startApp, TEST_SECRET } from '../helpers/app.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

const [MINUTE, DAY] = [60_000, 86_400_000]

/** An IPv4 address for each number. */
const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`

t.test('counters of requests: of 5,000 addresses, those that asked last', async (t) => {
  const app = await startApp(t, { RATE_LIMIT_MAX: '1' })
  const ask = async (i: number) =>
    (await app.inject({ url: '/api/sessions/limits', remoteAddress: address(i) })).statusCode
  t.strictSame([await ask(0), await ask(0), await ask(1)], [401, 429, 401])
  for (let i = 2; i <= 5_000; i++) await ask(i)
  t.equal(await ask(0), 401, 'the one that asked longest ago is forgotten')
  t.equal(await ask(2), 429, 'one of the last 5,000 is not')
})

t.test('counters of logins: of 5,000 addresses, those that tried last', async (t) => {
  const app = await startApp(t)
  const login = async (i: number) => {
    const request = { ip: address(i), body: { username: `user-${i}` }, routeOptions: {} }
    return await app.throttleLogin(request as unknown as FastifyRequest).then(
      () => 'tried',
      ({ code }: { code: string }) => code
    )
  }
  for (let i = 0; i < 5; i++) t.equal(await login(0), 'tried')
  t.equal(await login(0), 'too_many_requests')
  for (let i = 1; i <= 5_000; i++) await login(i)
  t.equal(await login(0), 'tried')
})

t.test('verified tokens: the last 1,000, for a minute', async (t) => {
  const clock = new ManualClock()
  const claims = { exp: clock.now() / 1000 + 3600, sub: 'alice' }
  const jwt: JwtLibrary = {
    decode: () => ({ header: { alg: 'HS256' }, payload: claims }),
    verify: () => claims
  }
  const verifier = new TokenVerifier({
    issuers: [{ name: undefined, audience: undefined, keys: [() => [secretKey(TEST_SECRET)]] }],
    jwt,
    toleranceMs: 0,
    claims: { bindNodes: false, roleClaims: [] },
    clock: clock.now
  })
  const token = (i: number) => `Bearer a.b.${Buffer.from(`token ${i}`).toString('base64url')}`
  const known = () =>
    Array.from({ length: 1_500 }, (_, i) => verifier.remembered(token(i))).flatMap((one, i) =>
      one === undefined ? [] : [i])
  for (let i = 0; i < 1_500; i++) await verifier.verify(token(i))
  t.strictSame(known(), Array.from({ length: 1_000 }, (_, i) => 500 + i))
  await clock.pass(MINUTE)
  t.equal(known().length, 1_000)
  await clock.pass(1)
  t.strictSame(known(), [])
})

t.test('long-lived tokens in use: the last 1,000', (t) => {
  const tokens = new TokensInUse()
  const exp = 400 * 86_400
  for (let i = 0; i < 1_500; i++) tokens.note({ iat: 0, exp, sub: `user-${i}` }, 0)
  const named = tokens.endingBefore(Infinity, 0).map(({ bearer }) => bearer)
  t.equal(named.length, 1_000)
  t.equal(named[0], 'user-500')
  t.end()
})

t.test('addresses whose refusals are counted for the audit log: the last 1,000', (t) => {
  const budget = new LineBudget({ perAddress: 1, inAll: 10_000, windowMs: MINUTE }, () => 0)
  t.strictSame([budget.take(address(0)), budget.take(address(0))], [0, undefined])
  for (let i = 1; i <= 1_000; i++) budget.take(address(i))
  t.equal(budget.take(address(1_000)), undefined)
  t.equal(typeof budget.take(address(0)), 'number', 'the one refused longest ago is forgotten')
  t.end()
})

t.test('ids that have ended: as many as the store allows, and until their time', async (t) => {
  const clock = new ManualClock()
  const table = new LeaseTable(clock.now, MINUTE, undefined, 1_000)
  for (let i = 0; i < 1_500; i++) table.end(`call-${i}`, clock.now())
  t.equal([...table.endedSince(0)].length, 1_000)
  t.equal(table.forgotten, 500)
  await clock.pass(MINUTE)
  t.equal([...table.endedSince(0)].length, 0)
})

t.test('users whose sessions were all ended: the last 100,000', (t) => {
  const ends = new UserEnds()
  for (let i = 0; i < 100_500; i++) ends.note(`user-${i}`, i, false, i)
  t.equal([...ends.since(0, 200_000)].length, 100_000)
  t.equal(ends.forgotten, 500)
  t.end()
})

t.test('leases in the mirror: those that are up, and a minute longer', async (t) => {
  const clock = new ManualClock()
  let forgotten = 0
  const table = new LeaseTable(clock.now, MINUTE, () => forgotten++)
  const startedMs = clock.now()
  const expiresMs = startedMs + MINUTE
  for (let i = 0; i < 20_000; i++) {
    const [sessionId, username] = [`call-${i}`, `user-${i}`]
    const about = { attempt: 0, node: 'n1', startedMs, expiresMs, details: {} }
    table.put({ sessionId, username, ...about }, clock.now(), expiresMs)
  }
  const users = () => [...table.usernames()].length
  await clock.pass(2 * MINUTE - 1)
  table.now()
  t.equal(users(), 20_000)
  await clock.pass(1)
  for (let looks = 0; looks < 20; looks++) table.now()
  t.equal(users(), 0)
  t.equal(forgotten, 20_000)
})

t.test('switch nodes in memory: 10,000, and for a day', async (t) => {
  const clock = new ManualClock()
  const { reports } = new LeaseTable(clock.now, MINUTE)
  const report = (node: string) =>
    noteReport(reports, reported({ node, epoch: 1, sessions: [], ttlMs: MINUTE }), clock.now())
  for (let i = 0; i < 10_500; i++) report(`node-${i}`)
  t.equal(reports.size, 10_000)
  t.notOk(reports.has('node-499'))
  t.ok(reports.has('node-500'))
  await clock.pass(DAY)
  report('another')
  t.strictSame([...reports.keys()], ['another'])
})

t.test('what is noted as up during a replay: the last 200,000', async (t) => {
  const outbox = new Outbox()
  outbox.trackUp()
  for (let i = 0; i < 200_500; i++) outbox.up(`call-${i}`, 0, 'n1')
  const up = outbox.takeUp()
  t.equal(up.length, 200_000)
  t.equal(up[0], 'call-500')
})

t.test('what parts of reports list in memory: 2,000,000 ids, and for ten minutes', async (t) => {
  const clock = new ManualClock()
  const { reports } = new LeaseTable(clock.now, MINUTE)
  const send = (node: string, number: number, of = 2) => {
    const about = { node, epoch: 1, sessions: [], ttlMs: MINUTE, part: { number, of } }
    return noteReport(reports, reported(about), clock.now())
  }
  /** A part that lists so many ids. */
  const list = (node: string, number: number, ids: number, of?: number) => {
    const begun = send(node, number, of)
    if ('outcome' in begun) return begun.outcome
    for (let i = 0; i < ids; i++) begun.listed.add(`${node} ${number} ${begun.listed.size}`)
    return 'taken'
  }
  for (let i = 0; i < 5; i++) t.equal(list(`node-${i}`, 1, 500_000), 'taken')
  t.equal(send('node-5', 1) instanceof Object, true)
  t.equal(list('node-0', 2, 0), 'incomplete', 'the one that was heard longest ago was given up')
  t.equal(list('node-1', 2, 0), 'taken')
  t.equal(list('node-6', 1, 0, 9), 'taken')
  let [times, outcome] = [0, '']
  for (; outcome !== 'incomplete' && times < 10; times++) outcome = list('node-6', 2, 500_000, 9)
  t.equal(times, 6, 'a part that comes time and again')
  t.equal(list('node-7', 1, 1), 'taken')
  await clock.pass(10 * MINUTE + 1)
  send('another', 1)
  const listed = () => [...reports.values()].flatMap((one) => one.listed ?? [])
  t.equal(listed().length, 1)
})
