/** Requests that are answered 503 do not fill the log, whoever sends them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { as, startApp } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { Log } from '../auth/logged-service.ts'

t.test('without a token, while the API keys cannot be read', async (t) => {
  const file = join(temporaryFolder(t), 'keys.json')
  writeFileSync(file, '{"keys": [')
  const log = new Log()
  const app = await startApp(
    t,
    { API_KEYS_FILE: file },
    { logger: { level: 'info', stream: log.stream } }
  )
  const headers = { 'x-api-key': `vfk_${'0'.repeat(16)}_${'A'.repeat(43)}` }
  for (let i = 0; i < 500; i++) {
    const answer = await as(app, null)('GET', '/api/sessions/limits/a', undefined, headers)
    t.equal(answer.status, 503)
  }
  const lines = log.text.split('\n').filter((line) => line.includes('The store is unavailable'))
  t.ok(lines.length >= 100 && lines.length < 400, `${lines.length} lines`)
})
