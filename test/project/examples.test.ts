/** Examples in documents are answered as printed, and every audited action is explained. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { AUDITED, DENIED, EMERGENCY } from '../../services/auth/audit.ts'
import { ADMIN, as, startApp } from '../helpers/app.ts'

/** A request of a document, and its answer as printed. */
interface Example {
  method: 'POST'
  url: string
  body: object | undefined
  status: number
  answer: object
}

t.test('every example of docs/integrating.md is answered as printed', async (t) => {
  const app = await startApp(t)
  const admin = as(app, ADMIN)
  await admin('PUT', '/api/sessions/limits/alice', { limit: 1 })
  const switchNode = as(app, { sub: 'k1', role: 'switch' })
  const examples = examplesOf(read('docs/integrating.md'))
  for (const { method, url, body, status, answer } of examples) {
    const given = await switchNode(method, url, body)
    t.equal(given.status, status, `${method} ${url}`)
    t.match(given.body, answer)
  }
  const verbs = Object.entries(app.swagger().paths ?? {})
    .filter(([, { post }]) => post?.tags?.includes('admission'))
    .map(([path]) => path.replace(/\{.*?\}/, 'a84b@pbx'))
  t.ok(verbs.length > 3)
  for (const verb of verbs) t.ok(examples.some(({ url }) => url.split('?')[0] === verb), verb)
})

t.test('every request of the table for the night is one that the service takes', async (t) => {
  const [, table = ''] =
    /## At three in the morning\n([^]*?)\n## /.exec(read('docs/operations.md')) ?? []
  const requests = [...table.matchAll(/`([A-Z]+) (\/\S+)`(?: with `(\{.*?\})`)?/g)]
  t.ok(requests.length > 8)
  const admin = as(await startApp(t), ADMIN)
  for (const [text, method, path = '', body] of requests) {
    const url = `/api/sessions${path.replace(/:\w+/, 'alice')}`
    const json = body === undefined ? undefined : JSON.parse(body)
    t.equal((await admin(method as 'GET', url, json)).status, 200, text)
  }
})

t.test('docs/operations.md names every action of the audit log', async (t) => {
  const row = /^\| `action` \|(.*)$/m.exec(read('docs/operations.md'))?.[1] ?? ''
  const named = [...row.matchAll(/`([a-z_.]+)`/g)].map(([, name]) => name)
  for (const action of [...Object.values(AUDITED), EMERGENCY, DENIED]) {
    t.ok(named.includes(action), action)
  }
})

/** The examples: method and path, a body if there is one, a status, an answer. */
function examplesOf (text: string): Example[] {
  const form = /```http\n(POST) (\S+)\n([^]*?)\n?\n(\d{3})\n([^]*?)```/g
  return [...text.matchAll(form)].map(([, , url = '', body = '', status, answer = '']) => ({
    method: 'POST',
    url,
    body: body === '' ? undefined : JSON.parse(body),
    status: Number(status),
    answer: expected(answer)
  }))
}

/** A printed answer as a pattern, in which `…` stands for what varies or is left out. */
function expected (answer: string): object {
  return JSON.parse(answer.replaceAll(/,\s*…/g, ''), (_, value) => (value === '…' ? String : value))
}

function read (file: string): string {
  return readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
}
