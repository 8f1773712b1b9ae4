/** A large body is parsed in slices: to the same value, or refused before it costs much. */
import t from 'tap'
import { MOST_ENTRIES, parseLarge } from '../../plugins/http/large-json.ts'

/** Parses, and notes the longest text that was parsed in one go. */
function counting () {
  const seen = { longest: 0, calls: 0 }
  const parse = (text: string): unknown => {
    seen.longest = Math.max(seen.longest, text.length)
    seen.calls++
    return JSON.parse(text) as unknown
  }
  return { seen, parse }
}

const long = 'x'.repeat(500)
const items = Array.from({ length: 2_000 }, (_, i) =>
  ({ session_id: `${i}","[{${long}`, username: 'a\\"]}', metadata: { a: [i], b: {} } }))

t.test('the value is that of JSON.parse, and no slice is long', async (t) => {
  for (const value of [
    { epoch: 1, sessions: items, total: 2_000, as_of: 'now' },
    { sessions: [], other: {}, a: null, b: 1.5e3, c: 'é😀' },
    { limits: Object.fromEntries(items.map((_, i) => [`user-${i}`, i % 3 === 0 ? null : i])) },
    { sessions: [0, 'a', null, true, [], {}, [[1, 2], { a: [] }]] },
    {}
  ]) {
    for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
      const { seen, parse } = counting()
      t.strictSame(await parseLarge(text, parse), value)
      t.ok(seen.longest < 140_000, `the longest slice has ${seen.longest} characters`)
    }
  }
})

t.test('what is not JSON is refused', async (t) => {
  for (const text of [
    '', ' ', '{', '}', '{"a":[1,2}', '{"a":[1,2}}', '{"a":{"b":1]}', '{"a":[1,]}', '{"a":[,1]}',
    '{"a":[1]]}', '{"a":[1]}}', '{"a":[1]} 1', '{"a":[1],}', '{"a":[1] [2]}', '{"a" [1]}',
    '{"a":["}', '{"a":[1', '{[1]}', '{"a":[1}]', `{"a":[${'1,'.repeat(15_000)}]}`
  ]) {
    const json = counting()
    const said = /JSON|too|object|token|Unexpected|Expected/
    await t.rejects(parseLarge(text, json.parse), said)
  }
})

t.test('too much of anything is refused before it is parsed', async (t) => {
  const many = MOST_ENTRIES['['] + 1
  for (const [what, text] of [
    ['zeros', `{"sessions":[${'0,'.repeat(many)}0]}`],
    ['empty objects', `{"sessions":[${'{},'.repeat(many)}{}]}`],
    ['members', `{"a":{${Array.from({ length: 110_000 }, (_, i) => `"${i}":1`).join()}}}`],
    ['members of the whole', `{${Array.from({ length: 9_000 }, (_, i) => `"${i}":1`).join()}}`],
    ['values in an entry', `{"sessions":[[${'0,'.repeat(9_000)}0]]}`],
    ['depth', `{"sessions":${'['.repeat(50_000)}${']'.repeat(50_000)}}`],
    ['text in an entry', `{"sessions":["${'x'.repeat(70_000)}"]}`],
    ['text in the whole', `{"as_of":"${'x'.repeat(70_000)}"}`],
    ['text of quotation marks', `{"as_of":"${'\\"'.repeat(70_000)}"}`],
    ['text of backslashes', `{"as_of":"${'\\'.repeat(140_000)}"}`],
    ['a list', `[${'0,'.repeat(50_000)}0]`]
  ] as const) {
    const { seen, parse } = counting()
    await t.rejects(parseLarge(text, parse), { name: 'LargeBodyError' }, what)
    t.ok(seen.longest < 140_000, `${what}: ${seen.longest}`)
  }
  const others = Array.from({ length: 9_000 }, (_, i) => `"${i}":1`).join()
  const twice = `{"limits":{"a":1,${others},"a":2}}`
  await t.rejects(parseLarge(twice, JSON.parse), { message: /twice/ })
})

t.test('others have their turn meanwhile', async (t) => {
  let turns = 0
  let done = false
  const count = () => {
    turns++
    if (!done) setImmediate(count)
  }
  setImmediate(count)
  await parseLarge(JSON.stringify({ sessions: items }), JSON.parse)
  done = true
  t.ok(turns > 10, `${turns} turns`)
})
