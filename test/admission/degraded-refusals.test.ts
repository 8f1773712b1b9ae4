/** A refusal that was decided while Redis is away says so in the log. */
import t from 'tap'
import { Log } from '../auth/logged-service.ts'
import { ADMIN, as, startApp } from '../helpers/app.ts'
import { admission } from './api.ts'

t.test('a refusal without Redis says so in the log', async (t) => {
  const log = new Log()
  const env = { REDIS_URL: 'redis://127.0.0.1:1', MAX_SESSIONS_PER_USER: '1' }
  const app = await startApp(t, env, { logger: { level: 'info', stream: log.stream } })
  const send = as(app, ADMIN)
  for (const id of ['a', 'b']) {
    await send('POST', admission, { username: 'alice', session_id: id })
  }
  const lines = log.text.trim().split('\n').map((line) => JSON.parse(line) as object)
  t.strictSame(
    lines.flatMap((line) => ('violation' in line ? [line.violation] : [])),
    [
      {
        username: 'alice',
        session_id: 'b',
        count: 1,
        limit: 1,
        degraded: true,
        observed: false
      }
    ]
  )
})
