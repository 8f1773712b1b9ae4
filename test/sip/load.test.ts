/** 100 calls a second for 20 s: none over the limit, none left, none hung up wrongly. */
import t from 'tap'
import { waitFor } from '../helpers/wait.ts'
import { NODE } from './kamailio.ts'
import { LIMIT, setScene } from './scene.ts'
import { callsOf, tally } from './tally.ts'

const [USERS, PER_SECOND, SECONDS] = [60, 100, 20]

t.test('100 calls a second for 20 s, with a report every second', async (t) => {
  // Without an answer no call passes, so that a busy machine cannot put a user over its limit.
  const { stage } = await setScene(t, { away: 'refuse', timeoutMs: 2000 })
  const began = new Date().toISOString()
  const callers = stage.call({
    calls: callsOf(USERS, 'load'),
    count: PER_SECOND * SECONDS,
    perSecond: PER_SECOND,
    holdMs: 2000
  })
  const { up, hungUp, refused, most } = tally(await callers.done)
  t.comment(`${up} calls were put through; refused: ${JSON.stringify(refused)}`)
  t.equal(most, LIMIT, 'every user had at most its limit, and some had that many')
  t.equal(hungUp, 0, 'no call was hung up')
  t.strictSame(Object.keys(refused), ['486'], 'refused were those over the limit')
  t.equal(up + (refused[486] ?? 0), PER_SECOND * SECONDS, 'every call had an answer')

  await waitFor(async () => (await stage.total()) === 0, { what: 'no session to be left' })
  const { body } = await stage.http.ask('GET', '/api/sessions/active')
  t.strictSame(body.sessions, [], 'no session is left')
  const { body: { nodes } } = await stage.http.ask('GET', '/api/sessions/nodes')
  t.match(nodes, [{ node: NODE, sessions: 0 }])
  t.ok(nodes[0].last_seen > began, 'reports were taken')
})
