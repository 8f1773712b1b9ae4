import { Redis } from 'ioredis'
import type { CliTarget } from './redis-cli.ts'

const EVERY_LEASE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, key in ipairs(redis.call('KEYS', '*user-leases:*')) do
  local user = string.gsub(string.match(key, 'user%-leases:(.*)$'), '[{}]', '')
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
    found[#found + 1] = user .. ' ' .. id
  end
end
return found`

/** The live leases that these servers, masters all, hold now, as `user id`. */
export async function leasesOf (...servers: CliTarget[]): Promise<Set<string>> {
  const found = await Promise.all(
    servers.map(async ({ host, port, password = '' }) => {
      const redis = new Redis({
        host,
        port,
        password,
        lazyConnect: true,
        retryStrategy: () => null,
        connectTimeout: 10_000,
        commandTimeout: 10_000
      })
      redis.on('error', () => {})
      try {
        await redis.connect()
        return (await redis.eval(EVERY_LEASE, 0)) as string[]
      } finally {
        redis.disconnect()
      }
    })
  )
  return new Set(found.flat())
}
