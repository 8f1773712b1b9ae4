/** Long answers are written in slices, and say what short ones say. */
import t from 'tap'
import { ADMIN, as, startApp } from '../helpers/app.ts'
import { service } from '../auth/logged-service.ts'

const SESSIONS = '/api/sessions'

/** Sessions to renew, every tenth of which is not valid. */
const items = Array.from({ length: 1_000 }, (_, i) => ({
  session_id: `call-${i}`,
  username: i % 10 === 0 ? `not a "name" of 🙂 ${i}` : `user-${i}`
}))

/** A batch renewal, in so many pieces. */
async function renewed (t: Parameters<typeof startApp>[0], pieces: number) {
  const send = as(await startApp(t, {}, { clock: () => 1_700_000_000_000 }), ADMIN)
  const answers = []
  for (let i = 0; i < items.length; i += items.length / pieces) {
    const sessions = items.slice(i, i + items.length / pieces)
    answers.push(await send('POST', `${SESSIONS}/renew`, { sessions }))
  }
  return answers
}

t.test('a long answer says what short ones say', async (t) => {
  const [long] = await renewed(t, 1)
  const short = await renewed(t, 10)
  t.strictSame(long?.body, {
    results: short.flatMap(({ body }) => body.results as object[]),
    degraded: false
  })
  const { 'content-type': type, 'content-length': length } = long?.headers ?? {}
  t.equal(type, short[0]?.headers['content-type'])
  t.equal(Number(length), Buffer.byteLength(long?.text ?? ''))
})

t.test('others have their turn while an answer is written', async (t) => {
  const app = await startApp(t)
  let turns = 0
  let told = 0
  const count = () => {
    turns++
    if (told < items.length * 0.9) turns = 0
    timer = setImmediate(count)
  }
  let timer = setImmediate(count)
  app.admission.outcomes.observe(() => told++)
  await as(app, ADMIN)('POST', `${SESSIONS}/renew`, { sessions: items })
  clearImmediate(timer)
  t.ok(turns >= items.length / 200, `${turns} turns after the last session was renewed`)
})

t.test('the audit log has the figures of a long answer', async (t) => {
  const { app, log } = await service(t)
  const sessions = Array.from({ length: 600 }, (_, i) =>
    ({ session_id: `call-${i}`, username: '' }))
  const body = { epoch: 1, sessions: [...sessions, { session_id: 'one', username: 'alice' }] }
  const answer = await as(app, ADMIN)('PUT', `${SESSIONS}/nodes/pbx-1`, body)
  t.equal((answer.body.invalid as object[]).length, 600)
  t.match(log.take(), [{ action: 'node.report', result: { registered: 1, renewed: 0 } }])
})

t.test('long lists are written only so many at a time; others may ask again', async (t) => {
  const app = await startApp(t, { MAX_SESSIONS_PER_USER: '0' })
  const send = as(app, ADMIN)
  const sessions = items.map(({ session_id: id }) => ({ session_id: id, username: 'alice' }))
  t.equal((await send('POST', `${SESSIONS}/renew`, { sessions })).status, 200)
  const list = async () => (await send('GET', `${SESSIONS}/active?username=alice`)).status
  const lists = Array.from({ length: 200 }, list)
  const batch = await send('POST', `${SESSIONS}/renew`, { sessions })
  t.equal(batch.status, 200, 'what was done is told')
  const statuses = await Promise.all(lists)
  const written = statuses.filter((status) => status === 200).length
  t.ok(written >= 50 && written < 150, `${written} lists`)
  t.ok(statuses.every((status) => status === 200 || status === 429))
  t.equal(await list(), 200)
})
