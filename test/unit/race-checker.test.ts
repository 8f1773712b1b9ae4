import t from 'tap'
import { checkHistory, type Violations } from '../race/checker.ts'
import { History, type Kind, type Outcome } from '../race/history.ts'

type Line = [session: number, kind: Kind, outcome: Outcome, invoked: number, completed: number]

const TTL_MS = 10_000

/**
 * What the checker finds in a history of one user with a limit of 2; sessions are numbered from 0
 * on.
 */
function violations (...lines: Line[]): Partial<Record<keyof Violations, number>> {
  const history = History.withRoomFor(lines.length)
  const sessions = 1 + Math.max(...lines.map(([session]) => session))
  for (let i = 0; i < sessions; i++) history.addSession(0)
  for (const [session, kind, outcome, invoked, completed] of lines) {
    history.end(history.begin(kind, session, invoked), outcome, completed)
  }
  const found = Object.entries(checkHistory(history, [2], TTL_MS)).filter(
    ([, list]) => list.length > 0
  )
  return Object.fromEntries(found.map(([name, list]) => [name, list.length]))
}

const full: Line[] = [
  [0, 'acquire', 'admitted', 0, 10],
  [1, 'acquire', 'admitted', 5, 20]
]

t.test('a correct history passes', async (t) => {
  t.strictSame(
    violations(
      ...full,
      [2, 'acquire', 'refused', 21, 25],
      [0, 'acquire', 'refreshed', 30, 31],
      [0, 'renew', 'renewed', 32, 33],
      [0, 'release', 'released', 40, 50],
      [0, 'release', 'not up', 51, 52],
      [0, 'acquire', 'ended', 53, 54],
      [3, 'acquire', 'admitted', 41, 60]
    ),
    {}
  )
})

t.test('one lease too many is found', async (t) => {
  const third: Line = [2, 'acquire', 'admitted', 30, 40]
  t.strictSame(violations(...full, third), { overLimit: 1 })
  t.strictSame(violations(...full, third, [3, 'acquire', 'admitted', 50, 60]), { overLimit: 2 })
  t.strictSame(
    violations(...full, [0, 'release', 'released', 39, 50], third),
    {},
    'not where one may have gone before'
  )
  t.strictSame(
    violations(...full, [0, 'release', 'unknown', 39, 50], third),
    {},
    'nor where nobody knows'
  )
  t.strictSame(
    violations(...full, [0, 'release', 'released', 41, 50], third),
    { overLimit: 1 },
    'but where one went too late'
  )
  t.strictSame(
    violations(...full, [0, 'release', 'not sent', 39, 50], third),
    { overLimit: 1 },
    'and where a release was never sent'
  )
  t.strictSame(
    violations(...full, [2, 'acquire', 'admitted', 9_950, 10_020]),
    {},
    'not after the others have expired'
  )
  t.strictSame(
    violations(
      ...full,
      [0, 'renew', 'renewed', 9_000, 9_010],
      [1, 'acquire', 'refreshed', 9_000, 9_010],
      [2, 'acquire', 'admitted', 10_100, 10_120]
    ),
    { overLimit: 1 },
    'but after they were prolonged'
  )
  t.strictSame(violations(...full, [2, 'acquire', 'unknown', 30, 40]), {}, 'not without an answer')
})

t.test('an id with two slots is found', async (t) => {
  t.strictSame(violations([0, 'acquire', 'admitted', 0, 10], [0, 'acquire', 'admitted', 20, 30]), {
    doubled: 1
  })
  t.strictSame(
    violations([0, 'acquire', 'admitted', 0, 10], [0, 'acquire', 'admitted', 5, 8]),
    { doubled: 1 },
    'at the same time'
  )
  t.strictSame(
    violations([0, 'acquire', 'unknown', 0, 10], [0, 'acquire', 'admitted', 20, 30]),
    {},
    'not where one is unknown'
  )
  t.strictSame(
    violations([0, 'acquire', 'admitted', 0, 10], [0, 'acquire', 'admitted', 10_001, 10_030]),
    {},
    'not after it has expired'
  )
  t.strictSame(
    violations(
      [0, 'acquire', 'admitted', 0, 10],
      [0, 'acquire', 'refreshed', 9_000, 9_010],
      [0, 'acquire', 'admitted', 10_001, 10_030]
    ),
    { doubled: 1 },
    'but where it was prolonged'
  )
})

t.test('a held slot that is lost is found', async (t) => {
  for (const [kind, outcome] of [
    ['acquire', 'refused'],
    ['acquire', 'ended'],
    ['renew', 'ended'],
    ['release', 'not up']
  ] as const) {
    t.match(
      violations([0, 'acquire', 'admitted', 0, 10], [0, kind, outcome, 20, 30]),
      { lost: 1 },
      `${kind} ${outcome}`
    )
    t.notMatch(
      violations([0, 'acquire', 'admitted', 0, 10], [0, kind, outcome, 9_999, 10_010]),
      { lost: 1 },
      'not after it has expired'
    )
  }
  t.strictSame(
    violations([0, 'acquire', 'admitted', 0, 10], [0, 'renew', 'reregistered', 20, 30]),
    { lost: 1 }
  )
  t.strictSame(
    violations(
      [0, 'acquire', 'admitted', 0, 10],
      [0, 'release', 'unknown', 15, 16],
      [0, 'release', 'not up', 20, 30]
    ),
    {}
  )
})

t.test('an id that comes back after its release is found', async (t) => {
  const released: Line[] = [
    [0, 'acquire', 'admitted', 0, 10],
    [0, 'release', 'released', 11, 20]
  ]
  t.match(violations(...released, [0, 'acquire', 'admitted', 21, 30]), { revived: 1 })
  t.match(violations(...released, [0, 'renew', 'reregistered', 21, 30]), { revived: 1 })
  t.strictSame(
    violations(...released, [0, 'acquire', 'refreshed', 10, 30]),
    {},
    'not where both ran at the same time'
  )
})

t.test('a refusal with room is found', async (t) => {
  const one: Line = [0, 'acquire', 'admitted', 0, 10]
  t.strictSame(violations(one, [1, 'acquire', 'refused', 20, 30]), { refusedWithRoom: 1 })
  t.strictSame(
    violations(one, [1, 'acquire', 'refused', 20, 30], [2, 'acquire', 'admitted', 25, 40]),
    {},
    'not where another came meanwhile'
  )
  t.strictSame(
    violations(one, [2, 'acquire', 'unknown', 12, 14], [1, 'acquire', 'refused', 20, 30]),
    {},
    'nor where one is unknown'
  )
  t.strictSame(
    violations(one, [2, 'acquire', 'not sent', 12, 14], [1, 'acquire', 'refused', 20, 30]),
    { refusedWithRoom: 1 }
  )
  t.strictSame(
    violations(...full, [0, 'release', 'released', 30, 40], [2, 'acquire', 'refused', 41, 50]),
    { refusedWithRoom: 1 },
    'the slot was free'
  )
  t.strictSame(
    violations(...full, [0, 'release', 'released', 30, 40], [2, 'acquire', 'refused', 39, 50]),
    {},
    'or just about to be'
  )
  t.strictSame(
    violations(...full, [2, 'acquire', 'refused', 10_130, 10_140]),
    { refusedWithRoom: 1 },
    'both had expired'
  )
})
