/** Every limits store keeps the same promises. */
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { LimitEntry } from '../../services/limits/limits-store.ts'
import { connected, PATIENT, startApp, startOwnApp } from '../helpers/app.ts'
import { inOne, type WholeLimitsStore } from '../helpers/one-store.ts'
import { startRedis, startSentinel, waitFor } from '../helpers/servers.ts'
import { byName, pages, all } from './pages.ts'

const redis = await startRedis(t)

const policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }

/** One kind of store, and how to let time go by until something holds. */
interface Twin {
  app: FastifyInstance
  limits: WholeLimitsStore
  eventually(t: Test, seconds: number, what: string, holds: () => Promise<boolean>): Promise<void>
}

const stores: Record<string, (t: Test) => Promise<Twin>> = {
  memory: async (t) => {
    let now = Date.parse('2026-11-22T10:00:00Z')
    const app = await startApp(t, {}, { clock: () => now })
    return {
      app,
      limits: inOne(app.limitsStore, app.limitLists, app.limitLists),
      async eventually (t, seconds, what, holds) {
        now += seconds * 1000 - 1
        t.notOk(await holds(), `${what}: not a millisecond too early`)
        now += 1
        t.ok(await holds(), what)
      }
    }
  },
  redis: async (t) => twinOn(await startOwnApp(t, redis)),
  sentinel: async (t) => {
    const { name, sentinels } = await startSentinel(t)
    const app = await startApp(t, {
      REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port}`).join(),
      REDIS_SENTINEL_MASTER: name,
      ...PATIENT
    })
    await connected(app)
    return twinOn(app)
  }
}

/** The store of a service on a Redis, whose time goes by itself. */
function twinOn (app: FastifyInstance): Twin {
  return {
    app,
    limits: inOne(app.limitsStore, app.limitLists, app.limitLists),
    async eventually (t, _seconds, what, holds) {
      t.notOk(await holds(), `${what}: not at once`)
      await waitFor(holds, { what })
    }
  }
}

for (const [kind, start] of Object.entries(stores)) {
  t.test(`${kind}: the contract of limits stores`, async (t) => {
    const { app, limits, eventually } = await start(t)
    t.beforeEach(async () => {
      await limits.setLimits(Object.fromEntries((await all(limits)).map(([name]) => [name, null])))
      for (const name of ['alice', 'bob']) await limits.removeTemporaryLimit(name)
    })

    t.test('everything that is stored can be read in advance', async (t) => {
      await limits.setLimits({ alice: 3, bob: 0 })
      const temporary = { limit: 8, duration: 60, reason: 'peak hour' }
      const ends = [
        await limits.setTemporaryLimit('alice', temporary),
        await limits.setTemporaryLimit('carol', temporary)
      ]
      const [ofAlice, ofCarol] = ends.map((expiresAtMs) => ({
        limit: 8,
        expiresAtMs,
        reason: 'peak hour'
      }))
      const stored: string[] = []
      for await (const batch of limits.allStored()) {
        stored.push(...batch.map((one) => JSON.stringify(one)))
      }
      const wanted = [
        { username: 'alice', limit: 3 },
        { username: 'alice', temporary: ofAlice },
        { username: 'bob', limit: 0 },
        { username: 'carol', temporary: ofCarol }
      ]
      const byText = (a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
      t.same(stored.map((text) => JSON.parse(text)).sort(byText), wanted.sort(byText))
      t.same(await limits.temporaryLimits(['carol', 'bob', 'alice']), [
        ofCarol,
        undefined,
        ofAlice
      ])
      await limits.removeTemporaryLimit('carol')
    })

    t.test(
      "a limit is the user's own once it is set, and the default before and after",
      async (t) => {
        const byDefault = { username: 'alice', limit: 5, source: 'default', unlimited: false }
        t.strictSame(await limits.getLimit('alice'), byDefault)
        await limits.setLimit('alice', 25)
        await limits.setLimit('alice', 26)
        t.strictSame(await limits.getLimit('alice'), {
          username: 'alice',
          limit: 26,
          source: 'user',
          unlimited: false
        })
        t.strictSame(
          await limits.getLimit('Alice'),
          { ...byDefault, username: 'Alice' },
          'names are case-sensitive'
        )
        t.equal(await limits.removeLimit('alice'), true)
        t.equal(await limits.removeLimit('alice'), false, 'there is none any more')
        t.strictSame(await limits.getLimit('alice'), byDefault)
      }
    )

    t.test('0 is unlimited and 1,000,000 is not', async (t) => {
      await limits.setLimits({ none: 0, most: 1_000_000 })
      t.strictSame(await limits.getLimit('none'), {
        username: 'none',
        limit: 0,
        source: 'user',
        unlimited: true
      })
      t.strictSame(await limits.getLimit('most'), {
        username: 'most',
        limit: 1_000_000,
        source: 'user',
        unlimited: false
      })
    })

    t.test('a bulk change sets, replaces and removes, and says how many', async (t) => {
      await limits.setLimits({ alice: 1, bob: 2 })
      t.strictSame(await limits.setLimits({ alice: 10, bob: null, carol: 3, nobody: null }), {
        set: 2,
        removed: 1
      })
      t.strictSame(await all(limits), [
        ['alice', 10],
        ['carol', 3]
      ])
      t.strictSame(await limits.setLimits({}), { set: 0, removed: 0 })
      t.strictSame(await limits.setLimits({ alice: null, carol: null }), { set: 0, removed: 2 })
      t.strictSame(await all(limits), [])
    })

    t.test('a temporary limit outranks the own one until it ends', async (t) => {
      const sourceOf = async (name: string) => (await limits.getLimit(name)).source
      await limits.setLimit('alice', 25)
      const end = await limits.setTemporaryLimit('alice', {
        limit: 1,
        duration: 1,
        reason: 'a\ncase'
      })
      await limits.setTemporaryLimit('bob', { limit: 0, duration: 3600 })
      t.strictSame(await limits.getLimit('alice'), {
        username: 'alice',
        limit: 1,
        source: 'temporary',
        unlimited: false,
        expiresAtMs: end,
        reason: 'a\ncase'
      })
      t.match(
        await limits.getLimit('bob'),
        { limit: 0, source: 'temporary', unlimited: true },
        'it may be unlimited'
      )
      t.notOk('reason' in (await limits.getLimit('bob')))
      t.strictSame(await all(limits), [['alice', 25]], 'it is no own limit and not listed as one')
      await eventually(
        t,
        1,
        'the temporary limit ends',
        async () => (await sourceOf('alice')) === 'user'
      )
      t.equal((await limits.getLimit('alice')).limit, 25)
      t.equal(
        await limits.removeTemporaryLimit('alice'),
        false,
        'one that has ended cannot be removed'
      )
      t.equal(await sourceOf('bob'), 'temporary')
    })

    t.test(
      'a temporary limit is replaced by the next, and can be removed before its time',
      async (t) => {
        const first = await limits.setTemporaryLimit('alice', {
          limit: 1,
          duration: 60,
          reason: 'first'
        })
        const second = await limits.setTemporaryLimit('alice', { limit: 2, duration: 3600 })
        t.ok(
          second - first >= 3_540_000 && second - first < 3_560_000,
          `ends an hour from now, not a minute: ${second - first} ms later`
        )
        t.strictSame(await limits.getLimit('alice'), {
          username: 'alice',
          limit: 2,
          source: 'temporary',
          unlimited: false,
          expiresAtMs: second
        })
        await limits.setLimit('alice', 9)
        t.equal((await limits.getLimit('alice')).limit, 2, 'an own limit set meanwhile waits')
        await limits.removeLimit('alice')
        t.equal((await limits.getLimit('alice')).limit, 2, 'and so does its removal')
        t.equal(await limits.removeTemporaryLimit('alice'), true)
        t.equal(await limits.removeTemporaryLimit('alice'), false)
        t.match(await limits.getLimit('alice'), { limit: 5, source: 'default' })
      }
    )

    t.test('pages have every entry exactly once, and at most as many as asked for', async (t) => {
      t.strictSame(await pages(limits, '', 10), [[]], 'an empty list is one empty page')
      const entries = Array.from({ length: 1234 }, (_, i): LimitEntry => [
        `${i % 3 === 0 ? 'a' : 'b'}.${i}`,
        i
      ])
      await limits.setLimits(Object.fromEntries(entries))
      for (const count of [1, 2, 7, 100, 999, 1000]) {
        const got = await pages(limits, '', count)
        t.ok(
          got.every((page) => page.length <= count),
          `no page of ${count} is too long`
        )
        t.strictSame(
          got.flat().sort(byName),
          [...entries].sort(byName),
          `pages of ${count} hold all of them once`
        )
      }
      const someOf = entries.filter(([name]) => name.startsWith('a.')).sort(byName)
      t.strictSame(
        (await pages(limits, 'a.', 10)).flat().sort(byName),
        someOf,
        'pages of a prefix hold just those'
      )
      t.strictSame(await all(limits), [...entries].sort(byName), 'and so does the whole list')
      t.strictSame(await all(limits, 'a.'), someOf)
      t.strictSame(await all(limits, 'zz'), [])
    })

    t.test(
      'what is there all along is on some page, whatever comes and goes meanwhile',
      async (t) => {
        const staying = Array.from({ length: 300 }, (_, i): LimitEntry => [`stays${i}`, 1])
        await limits.setLimits(Object.fromEntries(staying))
        const seen = new Set<string>()
        let cursor: string | null = ''
        for (let i = 0; cursor !== null; i++) {
          const { entries, next_cursor: next } = await limits.listLimits('', { cursor, count: 3 })
          for (const [name] of entries) seen.add(name)
          cursor = next
          if (i < 200) {
            await limits.setLimits({ [`comes${i}`]: 2, [`came${i}`]: 2, [`comes${i - 5}`]: null })
          }
        }
        t.strictSame(
          staying.filter(([name]) => !seen.has(name)),
          []
        )
      }
    )

    t.test('a prefix is plain text, not a pattern', async (t) => {
      const odd = { 'a*b': 1, ab: 2, 'a?b': 3, axb: 4, 'a[xy]b': 5, ayb: 6, 'a\\b': 7, 'a^b': 8 }
      await limits.setLimits(odd)
      for (const [prefix, names] of [
        ['a*', ['a*b']],
        ['a?', ['a?b']],
        ['a[xy]', ['a[xy]b']],
        ['a[x', ['a[xy]b']],
        ['a\\', ['a\\b']],
        ['*', []],
        ['?', []],
        ['ab', ['ab']]
      ] as Array<[string, string[]]>) {
        t.strictSame(
          (await all(limits, prefix)).map(([name]) => name),
          names,
          `the whole list of ${prefix}`
        )
        // A name may come twice while Redis makes room, or gives some up: others change its keys.
        const found = (await pages(limits, prefix, 1)).flat().map(([name]) => name)
        t.strictSame(
          [...new Set(found)],
          names,
          `pages of ${prefix}`
        )
      }
      t.equal((await all(limits, 'a')).length, Object.keys(odd).length)
    })

    t.test('a cursor that no list gave is refused', async (t) => {
      await limits.setLimit('alice', 1)
      const positions: unknown[] = [
        null,
        7,
        {},
        [],
        [0],
        [-1, '0', []],
        [0.5, '0', []],
        [0, 'x', []],
        [0, '-1', []],
        [0, 0, []],
        [0, '0', [1]],
        [0, '0', {}],
        [0, '0', [], 1],
        [0, '99999999999999999999', []],
        [0, '18446744073709551616', []]
      ]
      const cursors = [
        'zzz',
        '-',
        'null',
        ...positions.map((position) => Buffer.from(JSON.stringify(position)).toString('base64url'))
      ]
      for (const cursor of cursors) {
        await t.rejects(
          limits.listLimits('', { cursor, count: 10 }),
          { code: 'invalid_input' },
          cursor
        )
      }
    })

    t.test('readers see a bulk change of 10,000 as a whole or not at all', async (t) => {
      // Last but one, for SCAN may name a key twice while Redis makes its table smaller after so
      // many are gone.
      const names = Array.from({ length: 10_000 }, (_, i) => `user${i}`)
      const write = async (limit: number | null) =>
        await limits.setLimits(Object.fromEntries(names.map((name) => [name, limit])))
      await write(1)
      const writing = write(2)
      const [first, last] = await Promise.all([
        limits.getLimit('user0'),
        limits.getLimit('user9999')
      ])
      await writing
      t.equal(first.limit, last.limit, 'a reader meanwhile sees no half of it')
      t.strictSame(new Set((await all(limits)).map(([, limit]) => limit)), new Set([2]))
      t.strictSame(await write(null), { set: 0, removed: 10_000 })
    })

    t.test('the policy changes as a whole or in part, and is the default limit', async (t) => {
      t.strictSame(app.policy.current, policy)
      const whole = {
        enabled: false,
        max_sessions_per_user: 0,
        session_limit_action: 'observe'
      } as const
      t.strictSame(await app.policy.update(whole), whole)
      t.strictSame(app.policy.current, whole)
      t.strictSame(await limits.getLimit('alice'), {
        username: 'alice',
        limit: 0,
        source: 'default',
        unlimited: true
      })
      for (const change of [
        { enabled: true },
        { max_sessions_per_user: 7 },
        { session_limit_action: 'terminate_oldest' as const }
      ]) {
        const before = app.policy.current
        t.strictSame(
          await app.policy.update(change),
          { ...before, ...change },
          JSON.stringify(change)
        )
        await app.policy.refresh()
        t.strictSame(app.policy.current, { ...before, ...change }, 'and it is what is kept')
      }
      t.equal((await limits.getLimit('alice')).limit, 7)
    })
  })
}

t.test('redis: lists are read by SCAN, never by KEYS', async (t) => {
  const commands = await redis.cli('INFO', 'commandstats')
  t.match(commands, /^cmdstat_scan:/m)
  t.notMatch(commands, /^cmdstat_(?:keys|flushall|flushdb):/m)
})
