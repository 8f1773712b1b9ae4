/**
 * Sends the cases of a theme to the service, as it listens on loopback with a Redis of its own, and
 * looks at what they did.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { Test } from 'tap'
import { TEST_SECRET, listen, startAppOn } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { type RawAnswer, sendRaw } from '../helpers/raw-http.ts'
import { isBackground, monitorRedis, quiet } from '../helpers/redis-monitor.ts'
import { startRedis } from '../helpers/servers.ts'
import { type Case, bytesOf, tokenOf } from './case.ts'
import { AUDIENCE, ISSUER, PROVIDER, PROVIDER_PEM } from './forge.ts'
import { changes, prototypes } from './prototypes.ts'

const PREFIX = 'voice-ferry-c4:'
/** What the service keeps for itself. */
const HOUSEKEEPING = /^session-(?:policy|generation|probe:text|watermark:[\w-]+(?::recent)?)$/

/** The usual code of each status. */
const CODES: Record<number, string> = {
  400: 'invalid_input',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'payload_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
  431: 'headers_too_large'
}

/** What an attacker would like to see; none of it is in an answer or in the log. */
function secrets (cases: Case[]): string[] {
  const tokens = cases.flatMap((one) => tokenOf(one) ?? [])
  return [
    TEST_SECRET,
    ...new Set(tokens.flatMap((token) => [token, token.split('.')[2] ?? '']))
  ].filter((text) => text.length >= 20)
}

/** How many items an answer names as invalid: by their outcomes, or in a list of their own. */
function invalidItems (body: string): number {
  const { results = [], invalid = [] } = JSON.parse(body) as {
    results?: Array<{ outcome: string }>
    invalid?: object[]
  }
  return results.filter(({ outcome }) => outcome === 'invalid').length + invalid.length
}

export async function checkTheme (t: Test, cases: Case[]): Promise<void> {
  const before = prototypes()
  const redis = await startRedis(t)
  let log = ''
  const stream = new Writable({
    write (chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    }
  })
  const keys = join(temporaryFolder(t), 'provider.pem')
  writeFileSync(keys, PROVIDER_PEM)
  const app = await startAppOn(
    t,
    redis,
    {
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
      JWT_PUBLIC_KEYS: keys,
      JWT_PROVIDER_ISSUER: PROVIDER,
      JWT_PROVIDER_AUDIENCE: AUDIENCE,
      GHOST_SWEEP_INTERVAL_SECONDS: '0'
    },
    { logger: { level: 'trace', stream } }
  )
  const port = Number(new URL(await listen(app)).port)
  const monitor = await monitorRedis(t, redis)
  await quiet(monitor)

  for (const one of cases) {
    await t.test(`${one.status}: ${one.what}`, async (t) => {
      const answer = await sendRaw(port, bytesOf(one))
      t.equal(answer.status, one.status, answer.body.slice(0, 300))
      if (one.invalid !== undefined) t.equal(invalidItems(answer.body), one.invalid, 'are refused')
      if (one.status >= 400 && one.code !== null) {
        checkProblem(t, answer, one.code ?? CODES[one.status])
      }
      t.notMatch(
        answer.head,
        /^(?:set-cookie|x-injected)\s*:/im,
        "no header of the caller's making"
      )
      const commands = (await monitor.take()).filter((seen) => !isBackground(seen))
      if (one.leaves === undefined) t.strictSame(commands, [], 'nothing reaches Redis')
    })
  }

  const live = await sendRaw(
    port,
    'GET /healthz/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  )
  t.equal(live.status, 200, 'the service goes on after all that')
  const kept = (await redis.cli('KEYS', '*'))
    .split('\n')
    .filter((key) => !HOUSEKEEPING.test(key.slice(PREFIX.length)))
  t.strictSame(
    kept.sort(),
    [...new Set(cases.flatMap(({ leaves = [] }) => leaves.map((key) => PREFIX + key)))].sort(),
    'Redis holds what accepted requests left, and nothing else'
  )
  t.strictSame(changes(before, prototypes()), [], 'no prototype has changed')
  t.not(log, '')
  t.strictSame(
    secrets(cases).filter((secret) => log.includes(secret)),
    [],
    'no secret and no token in the log'
  )
}

/** Holds an answer to RFC 9457, and to the stable code that goes with its status. */
function checkProblem (t: Test, { status, head, body }: RawAnswer, code: string | undefined): void {
  t.match(head, /^content-type: application\/problem\+json/im)
  if (body === '') return
  const problem = JSON.parse(body) as {
    status: number
    code: string
    title: string
    detail: string
  }
  t.match(problem, { type: 'about:blank', status, code, title: String, detail: /^.{1,300}$/su })
  t.notMatch(body, /\.(?:ts|js):\d|node_modules/, 'no stack trace')
  t.notMatch(body, /eyJ[\w-]+\.eyJ/, 'no token')
}
