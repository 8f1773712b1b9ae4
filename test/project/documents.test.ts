/** What the documents say: the README's first session is answered as printed, and links resolve. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { loadConfig } from '../../config.ts'
import { welcome } from '../../welcome.ts'
import { ADMIN, listen, startApp, tokenFor } from '../helpers/app.ts'

const root = new URL('../../', import.meta.url)
const folders = ['docs', 'integrations'].filter((folder) => existsSync(new URL(folder, root)))
const documents = [
  ...readdirSync(root),
  ...folders.flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map(
      (file) => `${folder}/${file}`
    )
  )
].filter((file) => file.endsWith('.md'))

t.test('every request of the README is answered as the README prints', async (t) => {
  const { commands, printed } = firstSession()
  t.equal(printed.length, 6, 'limit, admitted, refused, renewed, released, node report')
  const app = await startApp(t)
  const base = await listen(app)
  const { stdout } = await promisify(execFile)(
    'sh',
    ['-e', '-c', commands.replaceAll('http://localhost:3001', base)],
    { env: { PATH: await pathWithCurl(), TOKEN: tokenFor(app, ADMIN) } }
  )
  const answers = stdout.trim().split('\n')
  t.equal(answers.length, printed.length)
  for (const [i, line] of printed.entries()) {
    t.match(answers[i], asPattern(line), `answer ${i + 1}`)
  }
})

t.test('what the first start prints is of the same session', async (t) => {
  const { commands } = firstSession()
  t.notMatch(commands, 'TOKEN=', 'the pasted token is kept')
  const printed = welcome('a.b.c', 'http://localhost:3001')
  const [first, ...rest] = printed.split('\n').flatMap((line) => /^ {2}(.*)/.exec(line)?.[1] ?? [])
  t.equal(first, 'export TOKEN=a.b.c')
  t.ok(rest.length > 4)
  for (const line of rest) t.ok(commands.split('\n').includes(line), line)
})

t.test('the settings of production in the README are those that production needs', async (t) => {
  const readme = read(new URL('README.md', root))
  const block = /## In production\n.*?```ini\n(.*?)```/s.exec(readme)?.[1] ?? ''
  const env = Object.fromEntries(
    [...block.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value]) => [name, value])
  )
  t.strictSame(Object.keys(env), ['NODE_ENV', 'REDIS_URL', 'JWT_SECRET'])
  t.throws(() => loadConfig(env), { message: /^JWT_SECRET: must be set in production/ })
  t.ok(loadConfig({ ...env, JWT_SECRET: randomBytes(48).toString('base64') }))
})

t.test('every relative link leads to a file, and every anchor to a heading', async (t) => {
  for (const document of documents) {
    const base = new URL(document, root)
    const links = linksOf(read(base)).filter((link) => !/^[a-z]+:/.test(link))
    for (const link of links) {
      const { pathname, hash } = new URL(link, base)
      const target = new URL(pathname, root)
      const resolves =
        existsSync(target) && (hash === '' || anchorsOf(read(target)).has(hash.slice(1)))
      t.ok(resolves, `${document} links to ${link}`)
    }
  }
})

t.test('docs/operations.md explains every line that is logged above debug', async (t) => {
  const table = /## Log lines\n(.*?)\n## /s.exec(read(new URL('docs/operations.md', root)))?.[1] ?? ''
  const explained = new Set([...table.matchAll(/`([^`]+)`/g)].map(([, text]) => text))
  const logged = sources().flatMap((file) => messagesOf(read(file)))
  t.ok(logged.length > 12)
  for (const message of logged) t.ok(explained.has(message), message)
})

/** The shell lines of the README's first session, and the answers that it prints below them. */
function firstSession (): { commands: string; printed: string[] } {
  const readme = read(new URL('README.md', root))
  const block = /## A first session\n.*?```sh\n(.*?)```/s.exec(readme)?.[1] ?? ''
  const lines = block.split('\n')
  return {
    commands: lines.filter((line) => !line.startsWith('#')).join('\n'),
    printed: lines.flatMap((line) => (line.startsWith('# {') ? [line.slice(2)] : []))
  }
}

/** A pattern of a printed answer, in which `…` stands for what varies or is left out. */
function asPattern (line: string): RegExp {
  const parts = line.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}

async function pathWithCurl (): Promise<string> {
  const finder = new URL('scripts/tools.mjs', root)
  const { findTools } = (await import(finder.href)) as { findTools: () => { curl: string } }
  return `${dirname(findTools().curl)}${delimiter}${process.env.PATH}`
}

/** The files of the service. */
function sources (): URL[] {
  const inFolders = ['plugins', 'routes', 'services'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map(
      (file) => `${folder}/${file}`
    )
  )
  return [...readdirSync(root), ...inFolders]
    .filter((file) => file.endsWith('.ts'))
    .map((file) => new URL(file, root))
}

/** The texts that a source logs above debug: a string at the end of a call. */
function messagesOf (source: string): string[] {
  const call =
    /\blog\.(?:info|warn|error|fatal)\((?:(?:(?!\blog\.)[^]){0,300}?,)?\s*(['"])((?:(?!\1).)+)\1\s*\)/g
  return [...source.matchAll(call)].map(([, , text = '']) => text)
}

function read (file: URL): string {
  return readFileSync(file, 'utf8')
}

/** The targets of a document's links, without those in code. */
function linksOf (text: string): string[] {
  const prose = text.replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
}

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf (text: string): Set<string> {
  const headings = text.replace(/^```.*?^```/gms, '').matchAll(/^#{1,6} (.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')
    )
  )
}
