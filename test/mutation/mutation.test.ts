import { Redis } from 'ioredis'
import t from 'tap'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import type { Script, ScriptName, Scripts } from '../../services/redis/scripts.ts'
import { startRedis } from '../helpers/servers.ts'
import { Model } from '../model/model.ts'
import { modelSubject } from '../model/model-subject.ts'
import { redisSubject } from '../model/redis-subject.ts'
import { memorySubject } from '../model/subject.ts'
import { checkStore, type Raw, World } from '../conformance/quick/check-store.ts'
import { mutants } from './mutants.ts'
import { seeMistakes } from './see-mistakes.ts'

const { policy } = new Model()
const redis = await startRedis(t)
const client = new Redis(redis.url)
t.teardown(() => client.disconnect())

let made = 0

/** Checks a store on Redis, some of its scripts replaced. */
async function checkRedis (scripts: Partial<Scripts> = {}): Promise<string | undefined> {
  const executor = new RedisExecutor(client, 5000)
  Object.assign(executor.scripts, scripts)
  return await checkStore(async () => {
    const prefix = `${made++}:`
    const raw: Raw = {
      keys: new RedisKeys(prefix),
      command: async (name, ...words) => await client.call(name, words)
    }
    return new World(await redisSubject(executor, prefix, policy), raw)
  })
}

t.test('the stores and the model keep every promise on the list', async (t) => {
  t.equal(
    await checkStore(async () => new World(memorySubject(policy), null)),
    undefined,
    'in memory'
  )
  t.equal(await checkStore(async () => new World(modelSubject(), null)), undefined, 'the model')
  t.equal(await checkRedis(), undefined, 'on Redis')
})

for (const [name, list] of Object.entries(mutants)) {
  t.test(`mistakes in ${name} are seen`, async (t) => {
    const check = async (script: Script) => await checkRedis({ [name]: script })
    await seeMistakes(t, client, name as ScriptName, list, check)
  })
}
