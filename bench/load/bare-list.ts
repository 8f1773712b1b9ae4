/** Reads all limits by SCAN and MGET alone: the least that a list takes with this client. */
import { Redis } from 'ioredis'

/** How many limits there are, and how long it took to read them. */
export interface BareListResult {
  limits: number
  tookMs: number
}

const PREFIX = 'voice-ferry-c4:user-limit:'
/** How many keys one SCAN looks at: twice as many as in the service, which lets others go first. */
const LOOK = 1000

process.once('message', ({ url }: { url: string }) => {
  readAll(new Redis(url))
    .catch((error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }))
    .then((answer) => process.send?.(answer, () => process.disconnect()))
})

async function readAll (client: Redis): Promise<BareListResult> {
  await client.ping()
  const limits: Record<string, number> = {}
  const startedMs = performance.now()
  let cursor = '0'
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', `${PREFIX}*`, 'COUNT', LOOK)
    const values = keys.length === 0 ? [] : await client.mget(keys)
    for (const [i, key] of keys.entries()) limits[key.slice(PREFIX.length)] = Number(values[i])
    cursor = next
  } while (cursor !== '0')
  const tookMs = performance.now() - startedMs
  client.disconnect()
  return { limits: Object.keys(limits).length, tookMs }
}
