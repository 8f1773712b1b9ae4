/** Walks over all users are shared, take turns, and end with the callers who asked for them. */
import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { ADMIN, as, listen, startAppOn, tokenFor } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { waitFor } from '../helpers/wait.ts'

const USERS = 10_000

t.test('a reader who asks for many lists and hangs up', async (t) => {
  const redis = await startRedis(t)
  const app = await startAppOn(t, redis, { GHOST_SWEEP_INTERVAL_SECONDS: '0' })
  const end = Date.now() + 3_600_000
  await redis.load(
    Buffer.from(Array.from({ length: USERS }, (_, i) =>
      `ZADD voice-ferry-c4:user-leases:user-${i} ${end} s-${i}\r\n`).join(''))
  )
  const { hostname, port } = new URL(await listen(app))
  const scans = async (): Promise<number> => {
    const stats = await app.redis.info('commandstats')
    const [, calls = '0'] = /cmdstat_scan:calls=(\d+)/.exec(stats) ?? []
    return Number(calls)
  }
  const token = tokenFor(app, { sub: 'reader', role: 'viewer' })
  const pipeline = async (method: string, path: string, times: number, caller = token) => {
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    const head = `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${caller}`
    socket.write(`${head}\r\n\r\n`.repeat(times))
    return socket
  }
  /** How many SCANs there were until there is no more for a while. */
  const untilStill = async () => {
    let [last, still] = [-1, 0]
    await waitFor(async () => {
      const now = await scans()
      still = now === last ? still + 1 : 0
      last = now
      return still > 15
    }, { what: 'the walks to end' })
    return last
  }
  const first = await as(app, ADMIN)('GET', '/api/sessions/users?limit=1')
  t.match(first, { status: 200, body: { total: USERS } })
  const oneWalk = (await untilStill())

  t.test('at once gets one walk for all of them', async (t) => {
    const before = await scans()
    const answers = await Promise.all(
      Array.from({ length: 30 }, async (_, i) =>
        await as(app, ADMIN)('GET', `/api/sessions/users?limit=${i + 1}`))
    )
    for (const [i, { status, body }] of answers.entries()) {
      t.match({ status, total: body.total, length: body.users.length }, {
        status: 200,
        total: USERS,
        length: i + 1
      })
    }
    t.ok((await untilStill()) - before <= 3 * oneWalk, 'thirty lists are not thirty walks')
  })

  t.test('gets no walk to its end', async (t) => {
    for (const path of ['/api/sessions/users?limit=1', '/api/sessions/active?count=1000']) {
      const before = await scans()
      const socket = await pipeline('GET', path, 30)
      await waitFor(async () => (await scans()) > before, { what: 'the walk to begin', everyMs: 1 })
        .catch(() => {})
      socket.destroy()
      const after = (await untilStill()) - before
      t.ok(after <= 2 * oneWalk, `${path}: ${after} steps; one walk takes ${oneWalk}`)
    }
  })

  t.test('gets one sweep for many, which ends with it', async (t) => {
    const before = await scans()
    const operator = tokenFor(app, { sub: 'op', role: 'operator' })
    const socket = await pipeline('POST', '/api/sessions/sweep', 30, operator)
    await waitFor(async () => (await scans()) > before + 3, { what: 'the sweep', everyMs: 1 })
    socket.destroy()
    const after = (await untilStill()) - before
    t.ok(after <= 3 * (USERS / 100), `${after} steps`)
  })

  t.test('changes nothing for those who are admitted meanwhile', async (t) => {
    const socket = await pipeline('GET', '/api/sessions/counts', 20)
    socket.resume()
    for (let i = 0; i < 50; i++) {
      const body = { username: `caller-${i}`, session_id: `c-${i}` }
      t.match(await as(app, ADMIN)('POST', '/api/sessions', body), {
        status: 201,
        body: { degraded: false }
      })
    }
    socket.destroy()
  })
})
