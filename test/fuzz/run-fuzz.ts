/**
 * Sends random requests to the service, on one store and on the other by turns, and holds the
 * answers to its description.
 */
import { scryptSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import fc from 'fast-check'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { buildApp } from '../../app.ts'
import { loadConfig } from '../../config.ts'
import { ADMIN, connected, PATIENT, TEST_SECRET, tokenFor } from '../helpers/app.ts'
import type { ApiDocument, Route } from '../helpers/api-document.ts'
import { Conformance } from './conformance.ts'
import { Requests, type FuzzRequest } from './requests.ts'
import { SchemaValues } from './schema-values.ts'
import { Watch, type Watched } from './watch.ts'

/**
 * How many requests a service gets before the next one is built: their stores do not grow without
 * end.
 */
const BATCH = 5_000

/** What is to be done; batch i is made from seed + i. */
export interface Fuzz {
  runs: number
  atMostSeconds: number
  seed: number
  redisUrl: string
}

/**
 * How often each operation was asked and how often that went well, and how many answers had each
 * status.
 */
export interface Tally {
  done: number
  seconds: number
  asked: Record<string, number>
  well: Record<string, number>
  statuses: Record<string, number>
  /** What the requests cost others. */
  worst: Watched
}

/**
 * @throws Error with the request that shows it and with what replays it, where an answer is not as
 * described
 */
export async function runFuzz (
  { runs, atMostSeconds, seed, redisUrl }: Fuzz,
  progress: (tally: Tally) => void
): Promise<Tally> {
  const began = performance.now()
  const watch = new Watch()
  const { worst } = watch
  const tally: Tally = { done: 0, seconds: 0, asked: {}, well: {}, statuses: {}, worst }
  for (let batch = 0; tally.done < runs && tally.seconds < atMostSeconds; batch++) {
    const app = await startService(
      batch % 2 === 0
        ? {}
        : { REDIS_URL: redisUrl, ...PATIENT, REDIS_KEY_PREFIX: `fuzz-${batch}:` }
    )
    try {
      if (batch % 2 === 1) await watch.beginSlowLog(app.redis)
      await runBatch(app, Math.min(BATCH, runs - tally.done), seed + batch, tally, watch)
      if (batch % 2 === 1) await watch.readSlowLog(app.redis)
      await app.redis?.flushall()
    } finally {
      await app.close()
    }
    tally.seconds = (performance.now() - began) / 1000
    progress(tally)
  }
  return tally
}

async function runBatch (
  app: FastifyInstance,
  numRuns: number,
  seed: number,
  tally: Tally,
  watch: Watch
): Promise<void> {
  const document = (await app.inject('/openapi.json')).json<ApiDocument>()
  const conformance = new Conformance(document)
  const values = new SchemaValues(document.components.schemas, seed)
  const good = tokenFor(app, ADMIN)
  const requests = new Requests(values, {
    good,
    others: [
      'garbage',
      tokenFor(app, { sub: 'alice' }),
      tokenFor(app, { sub: 'bob', role: 'viewer' })
    ]
  })
  const routes = [...conformance.routes.values()]
  const property = fc.asyncProperty(
    fc.oneof(...routes.map((route) => requests.to(route))),
    async (request) => {
      const { method, url, payload = '' } = request
      const named = `${method} ${url} ${payload}`.slice(0, 300)
      const answer = await watch.during(named, async () =>
        await app.inject(request as InjectOptions))
      conformance.check(request, answer)
      count(tally, request, answer.statusCode)
    }
  )
  const examples = routes.map((route): [FuzzRequest] => [exampleOf(route, good)])
  await fc.assert(property, { numRuns, seed, examples })
  const { statusCode } = await app.inject('/healthz/ready')
  if (statusCode !== 200) {
    throw new Error(`after a batch of requests the service answers ${statusCode}`)
  }
}

function count (tally: Tally, { operationId }: FuzzRequest, status: number): void {
  const { asked, well, statuses } = tally
  tally.done++
  asked[operationId] = (asked[operationId] ?? 0) + 1
  if (status < 300) well[operationId] = (well[operationId] ?? 0) + 1
  statuses[status] = (statuses[status] ?? 0) + 1
}

/** The request that the description shows. */
function exampleOf (
  { operationId, method, path, parameters = [], requestBody }: Route,
  token: string
): FuzzRequest {
  const examples = new Map(parameters.map(({ name, example }) => [name, example]))
  const url = path.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(examples.get(name) ?? 'x')
  )
  const example = requestBody?.content['application/json']?.example
  const headers = { authorization: `Bearer ${token}` }
  if (example === undefined) return { operationId, method, url, headers, valid: false }
  return {
    operationId,
    method,
    url,
    headers: { ...headers, 'content-type': 'application/json' },
    payload: JSON.stringify(example),
    valid: true
  }
}

/**
 * The service with everything on that a description can show; its administrator is the one of the
 * example.
 */
async function startService (env: NodeJS.ProcessEnv): Promise<FastifyInstance> {
  const text = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  const salt = Buffer.from('a salt of tests!')
  const hash = scryptSync('correct horse battery staple', salt, 32, { N: 2 ** 14, r: 8, p: 1 })
  const app = await buildApp(
    loadConfig({
      LOG_LEVEL: 'silent',
      ADMIN_USERNAME: 'admin',
      ADMIN_PASSWORD_HASH: `$scrypt$ln=14,r=8,p=1$${text(salt)}$${text(hash)}`,
      ...env
    }),
    TEST_SECRET
  )
  await app.ready()
  if (env.REDIS_URL !== undefined) await connected(app)
  return app
}
