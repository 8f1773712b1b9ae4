import { createHmac, randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import { type RedisServer, startRedis } from '../helpers/redis-server.ts'
import { checkHistory } from './checker.ts'
import { type Race, type Ran, userName } from './clients.ts'
import { History } from './history.ts'
import { buildService, type Instance, startInstance } from './instances.ts'

const [INSTANCES, CLIENTS, USERS, TTL_SECONDS] = [4, 32, 200, 10]

/**
 * Lets many clients race for the slots of few users on several instances that are killed now and
 * then, and checks what they saw. RACE_OPERATIONS says how many operations, RACE_SEED repeats the
 * clients' choices.
 */
export async function runRace (t: Test, operationsByDefault: number): Promise<void> {
  const { RACE_OPERATIONS = operationsByDefault, RACE_SEED = randomInt(2 ** 30) } = process.env
  const secret = randomBytes(32).toString('hex')
  const built = buildService(t)
  const redis = await startRedis(t)
  const settings = {
    REDIS_URL: redis.url,
    REDIS_TIMEOUT_MS: '5000',
    // On a busy machine an instance may lose Redis for a moment: it admits nobody meanwhile.
    OUTAGE_MODE: 'deny',
    JWT_SECRET: secret,
    LOG_LEVEL: 'silent',
    GHOST_SWEEP_INTERVAL_SECONDS: '5'
  }
  const instances: Instance[] = []
  while (instances.length < INSTANCES) instances.push(await startInstance(t, built, settings))
  const race: Race = {
    ports: instances.map(({ port }) => port),
    token: tokenFor(secret),
    operations: Number(RACE_OPERATIONS),
    clients: CLIENTS,
    users: USERS,
    ttlSeconds: TTL_SECONDS,
    seed: Number(RACE_SEED)
  }
  t.comment(`RACE_OPERATIONS=${race.operations} RACE_SEED=${race.seed}`)
  const limits = Array.from({ length: USERS }, (_, user) => 1 + (user % 5))
  const ask = asker(race)
  const bulk = { limits: Object.fromEntries(limits.map((limit, i) => [userName(i), limit])) }
  t.equal((await ask('POST', '/api/sessions/limits/bulk', bulk)).status, 200)

  const { ran, kills } = await runWithKills(t, race, instances)
  const history = new History(ran.history)
  const rate = Math.round(history.length / ran.seconds)
  t.comment(
    `${history.length} operations in ${ran.seconds.toFixed(1)} s, ${rate} a second, ${kills} kills`
  )
  t.comment(JSON.stringify(history.tally()))
  t.strictSame(ran.odd, [], 'no answer was odd')
  t.ok(
    ran.withoutRedis < history.length / 10,
    `${ran.withoutRedis} answers were given without Redis, fewer than a tenth`
  )
  const found = checkHistory(history, limits, TTL_SECONDS * 1000)
  for (const [kind, list] of Object.entries(found)) {
    t.strictSame(list.slice(0, 10), [], `${kind}: ${list.length}`)
  }

  await sleep((TTL_SECONDS + 1) * 1000)
  t.strictSame(await countsAbove0(redis, ask), { redis: [], service: {} }, 'every slot came back')
  t.strictSame(
    await usersWithoutTheirLimit(ask, limits),
    [],
    'every user can take its limit again, and no more'
  )
}

/** Runs the clients, and meanwhile kills an instance every few seconds. */
async function runWithKills (
  t: Test,
  race: Race,
  instances: Instance[]
): Promise<{ ran: Ran; kills: number }> {
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: race })
  t.teardown(async () => await worker.terminate())
  const done = new AbortController()
  const result = once(worker, 'message').finally(() => done.abort()) as Promise<[Ran]>
  let kills = 0
  const killing = (async () => {
    while (!done.signal.aborted) {
      await sleep(randomInt(2000, 7000), undefined, { signal: done.signal }).catch(() => {})
      if (done.signal.aborted) return
      await instances[randomInt(instances.length)]?.crash()
      kills++
    }
  })()
  const [[ran]] = await Promise.all([result, killing])
  return { ran, kills }
}

type Ask = (
  method: string,
  path: string,
  body?: object
) => Promise<{ status: number; body: unknown }>

function asker ({ ports, token }: Race): Ask {
  return async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${ports[randomInt(ports.length)]}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body && { 'content-type': 'application/json' })
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000)
    })
    return { status: response.status, body: await response.json() }
  }
}

/** Users with sessions, as Redis and as the service has them. */
async function countsAbove0 (redis: RedisServer, ask: Ask) {
  const script = `
    local time = redis.call('TIME')
    local found = {}
    for _, key in ipairs(redis.call('KEYS', '*user-leases:*')) do
      if redis.call('ZCOUNT', key, time[1] * 1000, '+inf') > 0 then found[#found + 1] = key end
    end
    return found`
  const { counts } = (await ask('GET', '/api/sessions/counts')).body as { counts: object }
  return {
    redis: (await redis.cli('EVAL', script, '0')).split('\n').filter((line) => line !== ''),
    service: counts
  }
}

async function usersWithoutTheirLimit (ask: Ask, limits: number[]): Promise<string[]> {
  const answers = await Promise.all(
    limits.map(async (limit, user) => {
      const statuses: number[] = []
      for (let i = 0; i <= limit; i++) {
        const session = {
          username: userName(user),
          session_id: `again-${user}-${i}`,
          // None of these ends while the others are asked for.
          ttl: 3600
        }
        statuses.push((await ask('POST', '/api/sessions', session)).status)
      }
      return { limit, user, statuses: statuses.join(' ') }
    })
  )
  const wrong = answers.filter(({ limit, statuses }) => statuses !== `${'201 '.repeat(limit)}409`)
  return wrong.map(({ user, limit, statuses }) => `${userName(user)} with ${limit}: ${statuses}`)
}

function tokenFor (secret: string): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const claims = { sub: 'racer', role: 'admin', iat: now, exp: now + 86_400 }
  const unsigned = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`
}
