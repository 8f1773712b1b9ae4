import { readdirSync, readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import t from 'tap'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { resolveIncludes } from '../../services/redis/include.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { outcomeOf } from '../../services/redis/script-outcomes.ts'
import { scriptTexts } from '../../services/redis/scripts.ts'
import { startRedis } from '../helpers/servers.ts'
import { Model } from '../model/model.ts'
import { redisSubject } from '../model/redis-subject.ts'

const services = new URL('../../services/', import.meta.url)
const luaFiles = readdirSync(services, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.lua'))
  .map((file) => ({
    file,
    isPiece: file.startsWith('redis/'),
    lines: readFileSync(new URL(file, services), 'utf8').trimEnd().split('\n')
  }))

/** The code of a line, without a comment behind it. */
const codeOf = (line: string) => line.replace(/--.*$/, '').trim()

t.test('pieces of Lua', async (t) => {
  const pieces = new Map([
    ['one', 'local one = 1\n'],
    ['two', '-- include one\nlocal two = one + one\n'],
    ['hen', '-- include egg\n'],
    ['egg', '-- include hen\n'],
    ['lost', '-- include nothing\n']
  ])
  const resolve = (text: string) => resolveIncludes('test.lua', text, pieces)

  t.test('stand where a script includes them', async (t) => {
    t.equal(resolve('-- include one\nreturn one\n'), 'local one = 1\nreturn one\n')
  })
  t.test('are included once, whoever includes them again', async (t) => {
    const text = resolve('-- include one\n  -- include two\n-- include one\nreturn two\n')
    t.equal(text, 'local one = 1\n\nlocal two = one + one\n\nreturn two\n')
  })
  t.test('that do not exist are an error which names the way to them', async (t) => {
    t.throws(() => resolve('-- include tow'), {
      message: 'There is no Lua piece named "tow": test.lua → tow'
    })
    t.throws(() => resolve('--include lost '), {
      message: 'There is no Lua piece named "nothing": test.lua → lost → nothing'
    })
  })
  t.test('that include each other are an error', async (t) => {
    t.throws(() => resolve('-- include hen'), {
      message: 'Lua pieces include each other: test.lua → hen → egg → hen'
    })
  })
})

t.test('every Lua file', async (t) => {
  t.equal(
    luaFiles.filter(({ isPiece }) => !isPiece).length,
    Object.keys(scriptTexts).length,
    'each script is loaded'
  )
  for (const { file, isPiece, lines } of luaFiles) {
    t.match(lines[0], /^-- [A-Z]/, `${file} begins by saying what it is for`)
    t.strictSame(
      lines.filter((line) => line.length > 100),
      [],
      `${file} has no line over 100 characters`
    )
    const isName = (line: string) => /^local \w+(, \w+)* = .*\b(KEYS|ARGV)\b/.test(line)
    const body = lines.findIndex((line) => codeOf(line) !== '' && !isName(codeOf(line)))
    t.strictSame(
      lines.slice(isPiece ? 0 : body).filter((line) => /\b(KEYS|ARGV)\b/.test(codeOf(line))),
      [],
      `${file} uses the names that its head gives to KEYS and ARGV`
    )
    t.strictSame(
      lines.filter((line) => /return \{ '?\d/.test(line)),
      [],
      `${file} answers with outcomes by their names`
    )
  }
})

t.test('a code that is no outcome is an error', async (t) => {
  t.equal(outcomeOf(1), 'admitted')
  t.throws(() => outcomeOf(99), { message: 'A script answered with the unknown code 99' })
})

t.test('scripts and Redis', async (t) => {
  const redis = await startRedis(t)
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const keys = new RedisKeys('test:')
  const subject = await redisSubject(new RedisExecutor(client, 5000), 'test:', new Model().policy)
  const acquire = async (sessionId: string, dryRun = false) =>
    await subject.sessions.acquire({
      username: 'ann',
      sessionId,
      attempt: 0,
      node: 'n1',
      ttlMs: 60_000,
      details: {},
      dryRun
    })
  t.afterEach(async () => {
    await client.config('SET', 'maxmemory', '0')
    await client.flushall()
  })

  t.test('a full Redis refuses renewals, and the index of their node stays whole', async (t) => {
    for (const id of ['s0', 's1']) await acquire(id)
    await client.config('SET', 'maxmemory', '1')
    await t.rejects(subject.sessions.renew([{ username: 'ann', sessionId: 's0' }], 60_000), {
      code: 'store_unavailable'
    })
    const members = await client.zrange(keys.nodeLeases('n1'), '0', '-1')
    t.strictSame(members.sort(), ['ann s0', 'ann s1'])
  })

  t.test('leases of another type are replaced by an admission, not by a dry run', async (t) => {
    const leases = keys.user('user-leases', 'ann')
    await client.set(leases, 'no set')
    t.match(await acquire('s0', true), { outcome: 'admitted', count: 1 })
    t.equal(await client.get(leases), 'no set')
    t.match(await acquire('s0'), { outcome: 'admitted', count: 1 })
    t.strictSame(await client.zrange(leases, '0', '-1'), ['s0'])
  })
})
