/** Redis answers, but cannot serve. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { temporaryFolder } from '../helpers/process.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { conclude, httpClient, recordNotRun, serveHere } from './matrix.ts'
import { measureOn } from './redis-rows.ts'
import { startSlowDisk } from './slow-disk.ts'

t.test('READONLY', async (t) => {
  const [redis, other] = await Promise.all([startRedis(t), startRedis(t)])
  conclude(
    t,
    await measureOn(t, {
      fault: 'READONLY (made a replica of nobody reachable)',
      redis,
      inject: async () => {
        await other.stop()
        await redis.cli('REPLICAOF', other.host, String(other.port))
      },
      hold: 2500,
      clear: async () => await redis.cli('REPLICAOF', 'NO', 'ONE')
    }),
    { detectMs: 1000 }
  )
})

t.test('NOREPLICAS', async (t) => {
  const redis = await startRedis(t)
  conclude(
    t,
    await measureOn(t, {
      fault: 'NOREPLICAS (min-replicas-to-write 1, none there)',
      redis,
      inject: async () => await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1'),
      hold: 2500,
      clear: async () => await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
    }),
    { detectMs: 1000 }
  )
})

t.test('maxmemory reached', async (t) => {
  const redis = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] })
  conclude(
    t,
    await measureOn(t, {
      fault: '`maxmemory` reached (noeviction)',
      redis,
      inject: async () => await redis.cli('CONFIG', 'SET', 'maxmemory', '1'),
      hold: 2500,
      clear: async () => await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    }),
    { detectMs: 1000 }
  )
})

t.test('BUSY', async (t) => {
  const redis = await startRedis(t, { args: ['--busy-reply-threshold', '100'] })
  conclude(
    t,
    await measureOn(t, {
      fault: 'BUSY (a Lua script that does not end)',
      redis,
      inject: () => {
        void redis.cli('EVAL', 'while true do end', '0').catch(() => {})
      },
      hold: 2500,
      clear: async () => await redis.cli('SCRIPT', 'KILL')
    }),
    { detectMs: 1000 }
  )
})

t.test('NOSCRIPT', async (t) => {
  const redis = await startRedis(t)
  const measured = await measureOn(t, {
    fault: 'NOSCRIPT (SCRIPT FLUSH, 10 times)',
    redis,
    inject: () => {},
    hold: async () => {
      for (let i = 0; i < 10; i++) {
        await redis.cli('SCRIPT', 'FLUSH', 'SYNC')
        await sleep(200)
      }
    },
    clear: () => {}
  })
  t.equal(measured.degradedShare, 0, 'nobody notices')
  conclude(t, measured)
})

t.test('LOADING', async (t) => {
  const redis = await startRedis(t, {
    args: ['--appendonly', 'yes', '--enable-debug-command', 'yes', '--key-load-delay', '-50']
  })
  await redis.cli('DEBUG', 'POPULATE', '200000', 'filler')
  conclude(
    t,
    await measureOn(t, {
      fault: 'LOADING (200,000 keys, slowly)',
      redis,
      inject: () => {},
      hold: async () => {
        await redis.cli('CONFIG', 'SET', 'key-load-delay', '15')
        await redis.cli('DEBUG', 'RELOAD')
      },
      clear: async () => await redis.cli('CONFIG', 'SET', 'key-load-delay', '0')
    }),
    { detectMs: 2000 }
  )
})

t.test('slow fsync', async (t) => {
  const disk = startSlowDisk(t)
  if (disk === undefined) return recordNotRun(t, 'slow fsync', 'needs a C compiler (cc)')
  const redis = await disk.startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
  conclude(
    t,
    await measureOn(t, {
      fault: 'slow fsync (each takes 300 ms, appendfsync always)',
      redis,
      inject: () => disk.delay(300),
      hold: 4000,
      clear: () => disk.delay(0)
    })
  )
})

t.test('an acknowledged limit write survives a crash', async (t) => {
  const disk = startSlowDisk(t)
  if (disk === undefined) return t.comment('not run: needs a C compiler (cc)')
  const redis = await disk.startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
  const service = await serveHere(t, { REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '2000' })
  const client = httpClient(service.url, service.token)
  t.teardown(() => client.close())
  disk.delay(150)
  const crash = new AbortController()
  const acknowledged = new Map<string, number>()
  const writing = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = 0; i < 200 && !crash.signal.aborted; i++) {
      const username = `writer-${writer}-${i}`
      const { status } = await client.ask('PUT', `/api/sessions/limits/${username}`, {
        limit: 100 + i
      })
      if (status === 200) acknowledged.set(username, 100 + i)
    }
  })
  await waitFor(() => acknowledged.size >= 40, { what: 'limits to be written', deadlineMs: 20_000 })
  await redis.kill()
  crash.abort()
  await Promise.all(writing)
  disk.delay(0)
  await redis.restart({ keepData: true })
  const kept = await Promise.all(
    [...acknowledged].map(
      async ([username, limit]) =>
        (await redis.cli('GET', `voice-ferry-c4:user-limit:${username}`)) === String(limit)
    )
  )
  t.equal(
    kept.filter((one) => !one).length,
    0,
    `all of ${acknowledged.size} acknowledged writes are there after SIGKILL`
  )
})

t.test('disk full', async (t) => {
  const dir = join(temporaryFolder(t), 'small')
  mkdirSync(dir)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', dir])
  if (mounted.status !== 0) {
    return recordNotRun(t, 'disk full', 'mounting a small tmpfs is not permitted here')
  }
  t.teardown(() => {
    spawnSync('umount', ['-l', dir])
  })
  const redis = await startRedis(t, {
    dir,
    args: ['--appendonly', 'yes', '--auto-aof-rewrite-percentage', '0']
  })
  const fill = () => {
    // Until nothing fits any more: first big pieces, then small ones.
    for (const [i, size] of [1 << 20, 1 << 16, 1 << 12, 1 << 8].entries()) {
      try {
        for (let n = 0; n < 40; n++) {
          writeFileSync(join(dir, `filler-${i}-${n}`), Buffer.alloc(size))
        }
      } catch {}
    }
  }
  conclude(
    t,
    await measureOn(t, {
      fault: 'disk full (2 MB tmpfs, appendfsync everysec)',
      redis,
      inject: fill,
      hold: 4000,
      clear: () => {
        spawnSync('sh', ['-c', `rm -f ${dir}/filler-*`])
      }
    }),
    { detectMs: 3000, recoverMs: 5000 }
  )
})
