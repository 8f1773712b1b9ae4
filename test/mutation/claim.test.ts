/** Mistakes in claim.lua and end-claim.lua are seen: whose an id is in a Cluster. */
import { Redis } from 'ioredis'
import t from 'tap'
import { RedisExecutor } from '../../services/redis/executor.ts'
import type { Script } from '../../services/redis/scripts.ts'
import { startRedis } from '../helpers/servers.ts'
import { claim as claimMutants, endClaim as endMutants } from './claim-mutants.ts'
import { seeMistakes } from './see-mistakes.ts'

const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000]
const [NOBODYS, OWN, ANOTHERS] = [0, 1, 2]
const redis = await startRedis(t)
const client = new Redis(redis.url)
t.teardown(() => client.disconnect())
const { scripts } = new RedisExecutor(client, 5000)

/** What is at a key, and for about how long: hours, else minutes; 0 for ever. */
async function seen (key: string): Promise<[string | null, string]> {
  const leftMs = await client.pttl(key)
  const about = (unitMs: number) => leftMs > unitMs / 2 && leftMs <= unitMs
  const lasts = about(HOUR_MS) ? 'an hour' : about(MINUTE_MS) ? 'a minute' : `${leftMs} ms`
  return [await client.get(key).catch(() => null), lasts]
}

type Is = (found: unknown, wanted: unknown) => void
type Check = (key: string, run: Script, is: Is) => Promise<void>

/** Claims an id, and tells all but how long it was claimed exactly. */
async function claim (
  run: Script,
  key: string,
  user: string,
  claimMs = MINUTE_MS,
  replaceable = ''
): Promise<string | unknown[]> {
  const reply = await run([key], [user, claimMs, replaceable]).catch(String)
  if (!Array.isArray(reply)) return String(reply)
  const [holder, before, leftMs] = reply
  if (leftMs === undefined) return [holder, before]
  return [holder, before, leftMs > HOUR_MS / 2 ? 'long' : leftMs > 0]
}

const claims: Check[] = [
  async (key, run, is) => {
    is(await claim(run, key, 'ann'), ['ann', NOBODYS, false])
    is(await seen(key), ['ann', 'a minute'])
    is(await claim(run, key, 'ann', HOUR_MS), ['ann', OWN, true])
    is(await seen(key), ['ann', 'an hour'])
    is(await claim(run, key, 'ann'), ['ann', OWN, 'long'])
    is(await seen(key), ['ann', 'an hour'])
  },
  async (key, run, is) => {
    await client.set(key, 'bob', 'PX', HOUR_MS)
    for (const replaceable of ['', 'cyd']) {
      is(await claim(run, key, 'ann', MINUTE_MS, replaceable), ['bob', ANOTHERS])
      is(await seen(key), ['bob', 'an hour'])
    }
    is(await claim(run, key, 'ann', MINUTE_MS, 'bob'), ['ann', ANOTHERS, 'long'])
    is(await seen(key), ['ann', 'a minute'])
  },
  async (key, run, is) => {
    await client.set(key, '-|3 released', 'PX', HOUR_MS)
    is(await claim(run, key, 'ann'), ['-|3 released', ANOTHERS])
    is(await claim(run, key, 'ann', MINUTE_MS, '-|3 released'), ['ann', ANOTHERS, 'long'])
  },
  async (key, run, is) => {
    await client.rpush(key, 'of another type')
    is(await claim(run, key, 'ann'), ['ann', NOBODYS, false])
    is(await seen(key), ['ann', 'a minute'])
  }
]

const END = '-|3 released'
const end = async (run: Script, key: string) => await run([key], [END, HOUR_MS]).catch(String)

const ends: Check[] = [
  async (key, run, is) => {
    is(await end(run, key), 1)
    is(await seen(key), [END, 'an hour'])
  },
  async (key, run, is) => {
    await client.set(key, 'ann', 'PX', MINUTE_MS)
    is(await end(run, key), 0)
    is(await seen(key), ['ann', 'a minute'])
  },
  async (key, run, is) => {
    await client.set(key, '-|2 released', 'PX', MINUTE_MS)
    is(await end(run, key), 1)
    is(await seen(key), [END, 'an hour'])
  },
  async (key, run, is) => {
    await client.rpush(key, 'of another type')
    is(await end(run, key), 1)
    is(await seen(key), [END, 'an hour'])
  }
]

let made = 0

/** What the first check finds that fails; undefined where all hold. */
async function check (checks: Check[], run: Script): Promise<string | undefined> {
  let failure: string | undefined
  const is: Is = (found, wanted) => {
    const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)]
    if (one !== other) failure ??= `${one}, not ${other}`
  }
  for (const one of checks) {
    await one(`id${made++}`, run, is)
    if (failure !== undefined) return failure
  }
  return failure
}

t.test('whose an id is keeps every promise on the list', async (t) => {
  t.equal(await check(claims, scripts.claim), undefined)
  t.equal(await check(ends, scripts.endClaim), undefined)
})

t.test('mistakes in claim are seen', async (t) => {
  await seeMistakes(t, client, 'claim', claimMutants, async (script) =>
    await check(claims, script))
})

t.test('mistakes in endClaim are seen', async (t) => {
  await seeMistakes(t, client, 'endClaim', endMutants, async (script) => await check(ends, script))
})
