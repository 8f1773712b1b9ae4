/**
 * Warns, two weeks before, that a token or an API key in use, or a certificate in a file, ends.
 * Health says which kind; the log says whose.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { systemClock, type Clock } from '../services/clock.ts'
import { BoundedMap } from '../services/util/bounded-map.ts'
import { repeat } from '../services/util/repeat.ts'

/** How long before the end a warning begins, in milliseconds. */
const AHEAD_MS = 14 * 86_400_000
/** How often the ends are looked at, in milliseconds. */
const LOOK_INTERVAL_MS = 2_000
/** How often certificates are read again, in milliseconds. */
const READ_INTERVAL_MS = 60_000

/** The most ends that the log is known to have named. */
const MOST_ANNOUNCED = 1_000

/** The settings that name a file which may hold certificates. */
const CERTIFICATE_FILES = [
  'REDIS_TLS_CA',
  'REDIS_TLS_CERT',
  'ETCD_TLS_CA',
  'ETCD_TLS_CERT',
  'JWT_PUBLIC_KEYS'
] as const

export default fp<{ clock?: Clock }>(
  async (app, { clock = systemClock }) => {
    const announced = new BoundedMap<string, true>(MOST_ANNOUNCED)
    const credentials = repeat({
      work: async () => lookAtCredentials(app, announced, clock()),
      onError: (error) => app.log.warn({ err: error }, 'could not look at the ends of tokens'),
      everyMs: LOOK_INTERVAL_MS
    })
    const certificates = repeat({
      work: async () => await lookAtCertificates(app, clock()),
      onError: (error) => app.log.warn({ err: error }, 'could not look at the certificates'),
      everyMs: READ_INTERVAL_MS
    })
    await certificates.first
    app.addHook('onClose', () => {
      credentials.stop()
      certificates.stop()
    })
  },
  { name: 'expiry-warnings', dependencies: ['config', 'auth', 'api-keys', 'warnings'] }
)

function lookAtCredentials (
  app: FastifyInstance,
  announced: BoundedMap<string, true>,
  nowMs: number
): void {
  const tokens = app.tokensInUse.endingBefore(nowMs + AHEAD_MS, nowMs)
  warn(
    app,
    'token_ends',
    tokens.length > 0 &&
      'A token in use ends within 14 days: make a new one with `npm run token`, and see the log ' +
      'for whose it is.'
  )
  for (const { bearer, endMs } of tokens) announce(app, announced, `token of ${bearer}`, endMs)
  const keys = app.apiKeys?.endsInUse().filter(({ endMs }) => endMs < nowMs + AHEAD_MS) ?? []
  warn(
    app,
    'api_key_ends',
    keys.length > 0 &&
      'An API key in use ends within 14 days: make a new one with `npm run api-key`, and see ' +
      'the log for which it is.'
  )
  for (const { name, endMs } of keys) announce(app, announced, `API key ${name}`, endMs)
}

async function lookAtCertificates (app: FastifyInstance, nowMs: number): Promise<void> {
  for (const setting of CERTIFICATE_FILES) {
    const path = app.config[setting]
    if (path === undefined) continue
    // A file that cannot be read is dealt with by whoever needs it.
    const pem = await readFile(path, 'utf8').catch(() => '')
    const ends = certificateEnds(pem)
    const isEnding = ends.some((endMs) => endMs < nowMs + AHEAD_MS)
    const text = `A certificate in the file of ${setting} ends within 14 days: replace it.`
    warn(app, `certificate_ends_${setting.toLowerCase()}`, isEnding && text)
  }
}

/** When the certificates in a PEM file end, in milliseconds since the epoch. */
function certificateEnds (pem: string): number[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.flatMap((block) => {
    try {
      return Date.parse(new X509Certificate(block).validTo)
    } catch {
      return []
    }
  })
}

function warn ({ warnings }: FastifyInstance, code: string, text: string | false): void {
  if (text === false) warnings.clear(code)
  else warnings.raise(code, text)
}

/** Logs the end of a credential, once. */
function announce (
  app: FastifyInstance,
  announced: BoundedMap<string, true>,
  what: string,
  endMs: number
): void {
  const line = `the ${what} ends at ${new Date(endMs).toISOString()}`
  if (announced.get(line) !== undefined) return
  announced.put(line, true)
  app.log.warn({ warning: 'credential_ends' }, line)
}
