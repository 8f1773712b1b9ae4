/** A key that was revoked stays so: on every replica, whatever happens to Redis meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ApiKeyRing } from '../../services/auth/api-keys/api-key-ring.ts'
import type { ApiKey } from '../../services/auth/api-keys/api-key.ts'
import type { ApiKeyStore } from '../../services/auth/api-keys/api-key-store.ts'
import { FileApiKeyStore } from '../../services/auth/api-keys/file-api-key-store.ts'
import { RedisApiKeyStore } from '../../services/auth/api-keys/redis-api-key-store.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { executorOn } from '../conformance/stores.ts'
import { startRedis } from '../helpers/servers.ts'

const NEW = { name: 'k', role: 'switch', node: undefined, days: 1 }
const ringOf = (store: ApiKeyStore) => new ApiKeyRing(store, Date.now, () => {})

t.test('on a full Redis, and where the answer was lost', async (t) => {
  const redis = await startRedis(t)
  const executor = await executorOn(t, { REDIS_URL: redis.url })
  const [here, there] = [0, 1].map(() =>
    ringOf(new RedisApiKeyStore(executor, new RedisKeys('revoked:'))))
  if (here === undefined || there === undefined) return
  const made = await here.make(NEW)
  const other = await here.make(NEW)
  await there.refresh()
  t.ok(there.callerOf(made.text))

  await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
  await here.revoke(made.key.id).catch(() => {})
  await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  await there.refresh()
  t.equal(there.callerOf(made.text), undefined, 'another replica learns it')

  // As a process leaves it that dies in the middle, or another program.
  await executor.client.hdel('revoked:api-keys', other.key.id)
  t.equal(await here.revoke(other.key.id), false)
  await there.refresh()
  t.equal(there.callerOf(other.text), undefined, 'who revokes it again makes all replicas look')
})

t.test('on a Redis that lost its last writes', async (t) => {
  const redis = await startRedis(t)
  const executor = await executorOn(t, { REDIS_URL: redis.url })
  const [here, there] = [0, 1].map(() =>
    ringOf(new RedisApiKeyStore(executor, new RedisKeys('lost:'))))
  if (here === undefined || there === undefined) return
  const { text, key } = await here.make(NEW)
  const before = await executor.client.hgetall('lost:api-keys')
  await here.revoke(key.id)
  await executor.client.hset('lost:api-keys', before)
  await here.refresh()
  t.equal(here.callerOf(text), undefined)
  await there.refresh()
  t.equal(there.callerOf(text), undefined)
})

t.test('where the keys were being read meanwhile', async (t) => {
  let keys: ApiKey[] = []
  let letGo = () => {}
  const store: ApiKeyStore = {
    read: async () => {
      const read = { version: String(keys.length), keys }
      await new Promise<void>((resolve) => (letGo = resolve))
      return read
    },
    add: async (key) => {
      keys = [...keys, key]
    },
    remove: async () => {
      keys = []
      return true
    },
    noteUses: async () => {},
    lastUses: async () => new Map()
  }
  const ring = ringOf(store)
  const making = ring.make(NEW)
  await sleep(0)
  letGo()
  const { text, key } = await making
  t.ok(ring.callerOf(text))
  const reading = ring.refresh()
  await ring.revoke(key.id)
  letGo()
  await reading
  t.equal(ring.callerOf(text), undefined)
})

t.test('last uses of keys that are gone are forgotten', async (t) => {
  const redis = await startRedis(t)
  const executor = await executorOn(t, { REDIS_URL: redis.url })
  const store = new RedisApiKeyStore(executor, new RedisKeys('uses:'))
  const [here, there] = [ringOf(store), ringOf(store)]
  for (let i = 0; i < 5; i++) {
    const { text, key } = await here.make(NEW)
    await there.refresh()
    t.ok(there.callerOf(text))
    await here.revoke(key.id)
    if (i % 2 === 0) await there.refresh()
    await there.noteUses()
  }
  await here.make(NEW)
  t.equal((await store.lastUses()).size, 0)

  const file = new FileApiKeyStore('never-written')
  for (let i = 0; i < 1_500; i++) await file.noteUses(new Map([[`key-${i}`, i]]))
  t.equal((await file.lastUses()).size, 1_000)
})
