/** Redis refuses some keys, and its probes find it in order: who is degraded, and what is told. */
import t from 'tap'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { startRedis } from '../helpers/servers.ts'
import { acquire, release, startOn, untilStatus } from './service.ts'

const sessionsOf = (...ids: string[]): KnownSession[] =>
  ids.map((id) => ({ username: 'alice', id, node: 'n1' }))
const [before, ended, late] = sessionsOf('before', 'ended', 'late') as [
  KnownSession,
  KnownSession,
  KnownSession
]

/** Keys to which the rights remain. */
const rights: Record<string, string[]> = {
  'all keys of users': ['~voice-ferry-c4:session-*'],
  'the limits of users': ['~voice-ferry-c4:session-*', '~voice-ferry-c4:user-[^l]*']
}

for (const [what, patterns] of Object.entries(rights)) {
  t.test(`no right to ${what}: health says so, and Redis is told when it has it`, async (t) => {
    const redis = await startRedis(t)
    const app = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
    for (const session of [before, ended]) t.equal((await acquire(app, session)).status, 201)
    await redis.cli('ACL', 'SETUSER', 'default', 'resetkeys', ...patterns)
    const health = async () => (await as(app, null)('GET', '/healthz/ready')).body
    const degraded = { body: { degraded: true } }
    t.match(await acquire(app, late), { status: 201, ...degraded })
    t.match(await health(), { status: 'degraded', components: { redis: { status: 'partial' } } })
    t.match(await release(app, ended), { status: 200, body: { released: true } })
    const { body } = await as(app, ADMIN)('GET', '/api/sessions/counts/alice')
    t.match(body, { count: 2 })
    t.match(await health(), { status: 'degraded' })
    await redis.cli('ACL', 'SETUSER', 'default', 'allkeys')
    await untilStatus(app, 'ok')
    await audit(t, app, [redis], { up: [before, late], gone: [ended] })
  })
}
