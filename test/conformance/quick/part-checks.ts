import type { Check, World } from './check-store.ts'
import { onRedis } from './redis-checks.ts'

/** Sends part `number` of `of` of the list of node n1, at epoch 1 unless `more` says otherwise. */
async function send (
  store: World,
  [number, of]: [number: number, of: number],
  ids: string[],
  { epoch = 1, total, ageMs = 0 }: { epoch?: number; total?: number; ageMs?: number } = {}
): Promise<string> {
  const sessions = ids.map((id): [string, string] => ['ann', id])
  return await store.report('n1', epoch, sessions, { part: { number, of }, total, ageMs })
}

/** Promises about reports that come in parts. The model takes only whole ones. */
export const partChecks: Record<string, Check> = {
  'what no part of a list names lapses with the last part': onRedis(async (store, is) => {
    for (const id of ['s0', 's1']) await store.acquire('ann', id, { node: 'n1' })
    is(await send(store, [1, 2], ['s0']), '1/0/0')
    is(await store.sessions('ann'), ['s0', 's1'])
    is(await send(store, [2, 2], ['s2']), '0/1/1')
    is(await store.sessions('ann'), ['s0', 's2'])
  }),
  'a part that does not follow the last one changes nothing': onRedis(async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    is(await send(store, [2, 2], ['s1']), 'incomplete')
    is(await send(store, [1, 3], []), '0/0/0')
    is(await send(store, [3, 3], ['s1']), 'incomplete')
    is(await send(store, [2, 2], ['s1']), 'incomplete')
    is(await send(store, [2, 3], ['s1'], { epoch: 2 }), 'incomplete')
    is(await store.sessions('ann'), ['s0'])
  }),
  'the first part begins anew, and the same part may come again': onRedis(async (store, is) => {
    is(await send(store, [1, 3], ['s0', 's1']), '0/2/0')
    is(await send(store, [2, 3], ['s2']), '0/1/0')
    is(await send(store, [1, 3], ['s0']), '1/0/0')
    is(await send(store, [1, 3], ['s0']), '1/0/0')
    is(await send(store, [2, 3], ['s1']), '1/0/0')
    is(await send(store, [2, 3], ['s1']), '1/0/0')
    is(await send(store, [3, 3], ['s3'], { total: 3 }), '0/1/1')
    is(await store.sessions('ann'), ['s0', 's1', 's3'])
  }),
  'the total is that of all parts': onRedis(async (store, is) => {
    await store.acquire('ann', 's9', { node: 'n1' })
    is(await send(store, [1, 2], ['s0', 's1']), '0/2/0')
    is(await send(store, [2, 2], ['s2'], { total: 4 }), 'incomplete')
    is(await store.sessions('ann'), ['s0', 's1', 's9'])
    is(await send(store, [1, 2], ['s0', 's1'], { total: 4 }), '2/0/0')
    is(await send(store, [2, 2], ['s9']), 'incomplete')
    is(await store.sessions('ann'), ['s0', 's1', 's9'])
    is(await send(store, [2, 2], ['s9'], { total: 3 }), '1/0/0')
    is(await send(store, [1, 2], ['s0'], { total: 9 }), '1/0/0')
    is(await send(store, [1, 2], ['s0', 's1']), '2/0/0')
    is(await send(store, [2, 2], ['s2']), '0/1/1')
    is(await store.sessions('ann'), ['s0', 's1', 's2'])
  }),
  'nothing goes on with parts after a whole list': onRedis(async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    is(await send(store, [1, 2], []), '0/0/0')
    is(await store.report('n1', 1, [['ann', 's0']]), '1/0/0')
    is(await send(store, [2, 2], []), 'incomplete')
    is(await store.sessions('ann'), ['s0'])
  }),
  'a list was taken when its first part says, and is forgotten': onRedis(
    async (store, is, { keys, command }) => {
      await store.acquire('ann', 's0', { node: 'n1' })
      await store.pass(32)
      await store.acquire('ann', 's1', { node: 'n1' })
      is(await send(store, [1, 2], [], { ageMs: 16_000 }), '0/0/0')
      is(Number(await command('PTTL', keys.nodeReport('n1'))) > 0, true)
      is(await send(store, [2, 2], []), '0/0/1')
      is(await store.sessions('ann'), ['s1'])
    }
  )
}
