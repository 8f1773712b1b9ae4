/** What an operator has to mend: in health, and once in the log. */
import t from 'tap'
import { MOST_WARNINGS, Warnings } from '../../services/health/warnings.ts'
import { as, startApp } from '../helpers/app.ts'

function recorded () {
  const lines: string[] = []
  const line = (level: string) => (particulars: object, text: string) => {
    lines.push(`${level} ${JSON.stringify(particulars)} ${text}`)
  }
  return { lines, warnings: new Warnings({ warn: line('warn'), info: line('info') }) }
}

t.test('a warning is logged when it begins and when it ends', async (t) => {
  const { lines, warnings } = recorded()
  warnings.clear('clock')
  for (let i = 0; i < 3; i++) warnings.raise('clock', 'set the clock')
  t.same(warnings.texts, ['set the clock'])
  for (let i = 0; i < 3; i++) warnings.clear('clock')
  t.same(warnings.texts, [])
  warnings.raise('clock', 'set the clock')
  t.same(lines, [
    'warn {"warning":"clock"} set the clock',
    'info {"warning":"clock"} mended: set the clock',
    'warn {"warning":"clock"} set the clock'
  ])
})

t.test('a warning that says something else is logged again, and keeps its place', async (t) => {
  const { lines, warnings } = recorded()
  warnings.raise('rights', 'grant +zadd')
  warnings.raise('clock', 'set the clock')
  warnings.raise('rights', 'grant +zadd +scan')
  t.same(warnings.texts, ['grant +zadd +scan', 'set the clock'])
  t.equal(lines.length, 3)
})

t.test('there are never more than a few', async (t) => {
  const { warnings } = recorded()
  for (let i = 0; i <= MOST_WARNINGS; i++) warnings.raise(`code ${i}`, `text ${i}`)
  t.equal(warnings.texts.length, MOST_WARNINGS)
  t.equal(warnings.texts[0], 'text 1', 'the oldest went first')
})

t.test('every health answer names them', async (t) => {
  const app = await startApp(t)
  const send = as(app, null)
  for (const path of ['/healthz/ready', '/healthz/startup', '/health', '/api/health']) {
    t.same((await send('GET', path)).body.warnings, [], path)
  }
  app.warnings.raise('clock', 'set the clock')
  for (const path of ['/healthz/ready', '/healthz/startup', '/health', '/api/health']) {
    t.same((await send('GET', path)).body.warnings, ['set the clock'], path)
  }
})
