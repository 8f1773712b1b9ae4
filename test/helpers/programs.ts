interface Programs {
  redisServer: string
  redisCli: string
  redisBenchmark: string | undefined
  etcd: string
}

const finder = new URL('../../scripts/servers.mjs', import.meta.url)
const { findServers } = (await import(finder.href)) as { findServers: () => Programs }

/** Paths of the programs the tests start. */
export const programs = findServers()
