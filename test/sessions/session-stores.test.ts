/** Every session store keeps the same contract. */
import t from 'tap'
import { LONGEST_TTL_MS, RECORD_GRACE_MS } from '../../services/sessions/timing.ts'
import { admission } from '../conformance/admission.ts'
import { attempts } from '../conformance/attempts.ts'
import { bars } from '../conformance/bars.ts'
import { boundNodes } from '../conformance/bound-nodes.ts'
import { runContract } from '../conformance/contract.ts'
import { lifetime } from '../conformance/lifetime.ts'
import { lists } from '../conformance/lists.ts'
import { manySessions } from '../conformance/many-sessions.ts'
import { nodeReports } from '../conformance/node-reports.ts'
import { executorOn, startInMemory, startOnCluster, startOnRedis } from '../conformance/stores.ts'
import { admit, ask, TTL } from '../conformance/words.ts'
import { startCluster, startRedis, startSentinel } from '../helpers/servers.ts'

const redis = await startRedis(t)
const executor = await executorOn(t, { REDIS_URL: redis.url })
const { masters } = await startCluster(t, 3, 0)
const clusterExecutor = await executorOn(t, {
  REDIS_CLUSTER_NODES: masters.map(({ host, port }) => `${host}:${port}`).join()
})

const contract = {
  ...admission,
  ...attempts,
  ...bars,
  ...boundNodes,
  ...lifetime,
  ...manySessions,
  ...nodeReports,
  ...lists
}

t.test('the store in memory keeps the contract', async (t) => {
  await runContract(t, contract, startInMemory)
})

t.test('the store on Redis keeps the contract', async (t) => {
  await runContract(t, contract, async (change) => await startOnRedis(executor, change))
})

t.test('the store on a Redis that Sentinels watch keeps the contract', async (t) => {
  const { name, sentinels } = await startSentinel(t)
  const onMaster = await executorOn(t, {
    REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port}`).join(),
    REDIS_SENTINEL_MASTER: name
  })
  await runContract(t, contract, async (change) => await startOnRedis(onMaster, change))
})

t.test('on a Cluster an id stays claimed for as long as its lease may last', async (t) => {
  const { sessions, keys } = await startOnCluster(clusterExecutor)
  const lasting = async () => await clusterExecutor.client.pttl(keys.holder('long'))
  const own = { node: 'n1', boundTo: 'n1' }
  await admit(sessions, 'alice', 'long', { ...own, attempt: 2, ttlMs: LONGEST_TTL_MS })
  const brief = { ttlMs: 10_000 }
  const other = { node: 'n2', boundTo: 'n2' }
  const renewal = { sessionId: 'long', username: 'alice' }
  const late = await sessions.acquire(ask('alice', 'long', { ...own, ...brief, attempt: 1 }))
  t.match(late, { outcome: 'ended' })
  const foreign = await sessions.acquire(ask('alice', 'long', { ...other, ...brief }))
  t.match(foreign, { outcome: 'forbidden' })
  const refused = [
    await sessions.renew([{ ...renewal, ...other }], 10_000),
    await sessions.renew([{ ...renewal, attempt: 1 }], 10_000)
  ]
  t.match(refused.flat(), [{ outcome: 'forbidden' }, { outcome: 'ended' }])
  t.match(await sessions.acquire(ask('bob', 'long', brief)), { outcome: 'conflict' })
  t.ok((await lasting()) > LONGEST_TTL_MS, 'whatever is refused')
})

t.test('on a Cluster an earlier attempt keeps no id from others for longer', async (t) => {
  const { sessions, keys } = await startOnCluster(clusterExecutor)
  const lasting = async () => await clusterExecutor.client.pttl(keys.holder('call'))
  const late = { sessionId: 'call', username: 'alice', attempt: 1 }
  await admit(sessions, 'alice', 'call', { attempt: 2 })
  for (const state of ['is live', 'has lapsed']) {
    t.match(await sessions.acquire(ask('alice', 'call', { attempt: 1 })), { outcome: 'ended' })
    t.match(await sessions.renew([late], TTL), [{ outcome: 'ended' }])
    t.ok((await lasting()) <= TTL + RECORD_GRACE_MS, `a later one ${state}`)
    await clusterExecutor.client.zrem(keys.user('user-leases', 'alice'), 'call')
    await clusterExecutor.client.pexpire(keys.lease('alice', 'call'), RECORD_GRACE_MS)
  }
})

t.test('the store on a Cluster keeps the contract', async (t) => {
  await runContract(t, contract, async (change) => await startOnCluster(clusterExecutor, change))
})
