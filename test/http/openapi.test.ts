/**
 * The description of the API: as committed, whole, true of the service, enough for a typed client,
 * and shown offline.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AjvCompiler } from '@fastify/ajv-compiler'
import type { FastifyInstance } from 'fastify'
import openapiTS, { astToString } from 'openapi-typescript'
import { chromium } from 'playwright-core'
import t, { type Test } from 'tap'
import { buildApp } from '../../app.ts'
import { loadConfig } from '../../config.ts'
import { openapiText } from '../../scripts/write-openapi.ts'
import { VERSION } from '../../shell.ts'
import { type ApiDocument, type Media, forAjv, routesOf } from '../helpers/api-document.ts'
import { tokenFor } from '../helpers/app.ts'

const root = new URL('../../', import.meta.url)
const written = await openapiText()
const document = JSON.parse(written) as ApiDocument
const operations = routesOf(document)
const medias = operations.flatMap(({ operationId, requestBody, responses }) =>
  [['body', requestBody], ...Object.entries(responses)].flatMap(([part, holder]) =>
    Object.entries((holder as { content?: Record<string, Media> } | undefined)?.content ?? {}).map(
      ([type, media]) => ({ name: `${operationId} ${part as string}`, type, ...media })
    )
  )
)

/** More than any route takes. */
const HUGE = JSON.stringify({ x: 'x'.repeat(20_000_000) })

t.test('docs/openapi.json is up to date', async (t) => {
  t.ok(
    readFileSync(new URL('docs/openapi.json', root), 'utf8') === written,
    'run `npm run openapi` and commit what it writes'
  )
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    version: string
  }
  t.equal(VERSION, version)
  t.equal(document.info.version, version)
})

t.test('every operation is described', async (t) => {
  t.match(document.openapi, /^3\.1\./)
  t.strictSame(duplicates(operations.map(({ operationId }) => operationId)), [])
  const tags = document.tags.map(({ name }) => name)
  for (const { method, path, operationId, tags: own, summary, responses } of operations) {
    t.test(`${method} ${path}`, async (t) => {
      t.match(operationId, /^[a-z][A-Za-z]+$/)
      t.ok(summary.length > 10 && !summary.endsWith('.'), 'has a summary')
      t.ok(tags.includes(own.join()), 'has one tag, which is explained')
      t.ok(
        Object.keys(responses).some((status) => status.startsWith('2')),
        'can go well'
      )
      t.ok('default' in responses, 'says how anything else looks')
      for (const [status, { description, content }] of Object.entries(responses)) {
        t.not(description, 'Default Response', `${status} has a description`)
        t.equal(Object.keys(content).length, 1, `${status} has one form`)
      }
    })
  }
  t.strictSame(
    tags.filter((tag) => !operations.some(({ tags }) => tags.includes(tag))),
    [],
    'every tag is used'
  )
})

t.test('every body has an example, and the example is valid', async (t) => {
  const {
    components: { schemas }
  } = document
  const named = Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, forAjv({ ...schema, $id: name })])
  )
  const compile = AjvCompiler()(named as never, {
    customOptions: { strict: false, coerceTypes: false, removeAdditional: false }
  })
  for (const { name, type, schema, example } of medias) {
    const validate = compile({ schema: forAjv(schema) } as never) as unknown as ((
      value: unknown
    ) => boolean) & { errors?: unknown }
    t.ok(example !== undefined && validate(example), `${name} ${type}`, {
      example,
      errors: validate.errors
    })
    t.notMatch(JSON.stringify(example), /"text"/, `${name}: no member is left without an example`)
  }
  for (const { operationId, parameters = [] } of operations) {
    for (const parameter of parameters.filter((one) => one.in === 'path')) {
      t.ok(parameter.example, `${operationId} ${parameter.name}`)
    }
  }
})

t.test('named schemas are named once and used', async (t) => {
  const {
    components: { schemas }
  } = document
  for (const name of Object.keys(schemas)) {
    t.match(name, /^[A-Z][A-Za-z]+$/)
    t.ok(written.includes(`"$ref": "#/components/schemas/${name}"`), `${name} is used`)
  }
  const texts = new Map(
    Object.entries(schemas).map(([name, schema]) => [JSON.stringify(schema), name])
  )
  const inlined: string[] = []
  for (const inner of [
    document.paths,
    ...Object.values(schemas).flatMap((schema) => Object.values(schema))
  ]) {
    walk(inner, (value) => {
      const name = texts.get(JSON.stringify(value))
      if (name !== undefined) inlined.push(name)
    })
  }
  t.strictSame(inlined, [], 'no named schema is repeated where it is used')
  t.strictSame(
    [...written.matchAll(/"\$ref": "([^"]+)"/g)]
      .map(([, ref = '']) => ref.replace('#/components/schemas/', ''))
      .filter((name) => !(name in schemas)),
    [],
    'every reference leads somewhere'
  )
})

t.test('no session in an answer is validated member by member', async (t) => {
  // A union makes the serializer validate each choice, for every session of every answer.
  const { Session, Admitted, Renewal } = document.components.schemas
  for (const [name, schema] of Object.entries({ Session, Admitted, Renewal })) {
    t.type(schema, 'object', name)
    t.notMatch(JSON.stringify(schema), /"(?:anyOf|oneOf)"/, name)
  }
})

t.test('every answer of the service is declared', async (t) => {
  const app = await service(t)
  const token = (claims: Record<string, unknown>) => ({
    authorization: `Bearer ${tokenFor(app, claims)}`
  })
  const admin = token({ sub: 'root', role: 'admin' })
  const json = { 'content-type': 'application/json' }
  for (const {
    method,
    path,
    security,
    parameters = [],
    requestBody,
    responses,
    operationId
  } of operations) {
    if (operationId === 'login') continue
    const isPublic = security?.length === 0
    const examples = new Map(parameters.map(({ name, example }) => [name, example]))
    const url = path.replace(/\{(\w+)\}/g, (_all, name: string) =>
      encodeURIComponent(examples.get(name) ?? 'x')
    )
    const body = requestBody?.content['application/json']?.example
    const headers = { ...admin, ...(body === undefined ? {} : json) }
    const asked = {
      method: method as 'GET',
      url,
      headers,
      payload: body === undefined ? '' : JSON.stringify(body)
    }
    const hostile = {
      'as the example says': asked,
      'with no token': { ...asked, headers: json },
      'with a token without permissions': {
        ...asked,
        headers: { ...asked.headers, ...token({ sub: 'nobody' }) }
      },
      'with an odd query': { ...asked, url: `${url}?count=many&cursor=*&page=x` },
      'with an odd name': { ...asked, url: path.replace(/\{\w+\}/g, '__proto__') },
      ...(method !== 'GET' && {
        'with a body that is not JSON': {
          ...asked,
          headers: { ...admin, 'content-type': 'text/plain' },
          payload: 'hello'
        },
        'with a body that is broken': { ...asked, headers: { ...admin, ...json }, payload: '{' },
        'with a body of another kind': {
          ...asked,
          headers: { ...admin, ...json },
          payload: '[true]'
        },
        'with a huge body': { ...asked, headers: { ...admin, ...json }, payload: HUGE }
      })
    }
    for (const [how, request] of Object.entries<object>(hostile)) {
      const response = await app.inject(request)
      const declared = responses[response.statusCode]
      const type = String(response.headers['content-type']).replace(/;.*/, '')
      t.ok(declared?.content[type], `${method} ${path} ${how}: ${response.statusCode} ${type}`, {
        body: response.body.slice(0, 300)
      })
    }
    const anonymous = await app.inject({ ...asked, headers: json })
    t.equal(
      anonymous.statusCode === 401,
      !isPublic,
      `${method} ${path} is ${isPublic ? 'public' : 'not public'}, as it says`
    )
  }
})

const CLIENT = `
import createClient from 'openapi-fetch'
import type { components, paths } from './api.ts'

export async function run (baseUrl: string, token: string): Promise<unknown[]> {
  const client = createClient<paths>({ baseUrl, headers: { Authorization: \`Bearer \${token}\` } })
  const user = { params: { path: { username: 'alice' } } }
  const set = await client.PUT('/api/sessions/limits/{username}', { ...user, body: { limit: 25 } })
  const got = await client.GET('/api/sessions/limits/{username}', user)
  const source: 'user' | 'temporary' | 'default' | undefined = got.data?.source
  const list = await client.GET('/api/sessions/limits', { params: { query: { count: 10 } } })
  const limits: Record<string, number> = list.data?.user_limits ?? {}
  const removed = await client.DELETE('/api/sessions/limits/{username}', user)
  const bad = await client.PUT('/api/sessions/limits/{username}', { ...user, body: { limit: -1 } })
  const problem: components['schemas']['Problem'] | undefined = bad.error
  const nobody = createClient<paths>({ baseUrl })
  const refused = await nobody.GET('/api/sessions/limits/{username}', user)
  const many = { ...user, body: { limit: 'many' } }
  // @ts-expect-error a limit is a number
  client.PUT('/api/sessions/limits/{username}', many).catch(() => {})
  return [
    set.data?.message, got.data?.limit, source, limits['alice'], removed.data?.removed,
    bad.response.status, problem?.code, refused.response.status, refused.error?.code
  ]
}
`

t.test('a typed client generated from it compiles strictly and works', async (t) => {
  const cache = new URL('.cache/', root)
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(new URL('typed-client-', cache).pathname)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'api.ts'), astToString(await openapiTS(written)))
  writeFileSync(join(folder, 'client.ts'), CLIENT)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noPropertyAccessFromIndexSignature: true,
        rewriteRelativeImportExtensions: true,
        target: 'es2023',
        module: 'nodenext',
        types: ['node']
      }
    })
  )
  const tsc = new URL('node_modules/typescript/lib/tsc.js', root).pathname
  try {
    execFileSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
  } catch (error) {
    t.fail('tsc --strict', { output: (error as { stdout: string }).stdout })
    return
  }
  const app = await service(t)
  const baseUrl = await app.listen({ host: '127.0.0.1', port: 0 })
  const { run } = (await import(pathToFileURL(join(folder, 'client.js')).href)) as {
    run: (url: string, token: string) => Promise<unknown[]>
  }
  t.strictSame(await run(baseUrl, tokenFor(app, { sub: 'root', role: 'admin' })), [
    'Session limit for user alice set to 25',
    25,
    'user',
    25,
    true,
    400,
    'invalid_input',
    401,
    'unauthorized'
  ])
})

t.test('the pages at /docs show every operation without a network', async (t) => {
  const { findTools } = (await import(new URL('scripts/tools.mjs', root).href)) as {
    findTools: () => { chromium: string }
  }
  const app = await service(t)
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const browser = await chromium.launch({
    executablePath: findTools().chromium,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'
    ]
  })
  t.teardown(async () => await browser.close())
  const page = await browser.newPage()
  const hosts = new Set<string>()
  const failures: string[] = []
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol !== 'data:' && url.protocol !== 'blob:') hosts.add(url.hostname)
  })
  page.on('requestfailed', (request) => failures.push(request.url()))
  page.on('pageerror', (error) => failures.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') failures.push(message.text())
  })
  await page.goto(`${base}/`)
  await page.waitForSelector('.opblock')
  t.match(new URL(page.url()).pathname, /^\/docs\b/, 'the root leads there')
  const shown = await page.locator('.opblock-summary-path').allInnerTexts()
  const without = (path: string) => path.replace(/[\s\u200b]/g, '')
  // A login that is not configured is not shown.
  const expected = operations
    .filter(({ operationId }) => operationId !== 'login')
    .map(({ path }) => path)
  t.strictSame(shown.map(without).sort(), expected.sort())
  await page.locator('.opblock').first().click()
  await page.waitForSelector('.opblock-body .responses-table')
  t.strictSame([...hosts], ['127.0.0.1'], 'nothing was asked of another host')
  t.strictSame(failures, [])
})

/** The service on the in-memory store, without anything configured. */
async function service (t: Pick<Test, 'teardown'>): Promise<FastifyInstance> {
  const app = await buildApp(
    loadConfig({ LOG_LEVEL: 'silent' }),
    'a secret for the tests, long enough'
  )
  t.teardown(async () => await app.close())
  return app
}

function duplicates (names: string[]): string[] {
  return names.filter((name, i) => names.indexOf(name) !== i)
}

/** Calls back for every object in a value, itself included. */
function walk (value: unknown, visit: (value: object) => void): void {
  if (typeof value !== 'object' || value === null) return
  visit(value)
  for (const inner of Object.values(value)) walk(inner, visit)
}
