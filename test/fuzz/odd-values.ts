/** Values that are nearly right, and values that are nothing of the kind. */
import fc from 'fast-check'

/** Where a value stands. */
interface Spot {
  holder: Record<string, unknown>
  name: string
}

const oddValue = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    '5',
    'a\0b',
    'alice\n',
    '../..',
    '__proto__',
    '\u202e',
    'x'.repeat(300),
    -1,
    0,
    1.5,
    2 ** 53,
    1e308,
    [],
    {},
    [[]]
  ),
  fc.jsonValue()
)
const oddName = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'toString', '', 'extra', 'x'.repeat(300)),
  fc.string({ unit: 'binary' })
)

/** A value with one place of it replaced, left out, or with something beside it. */
export function nearly (values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(values, fc.nat(), fc.constantFrom('replace', 'remove', 'add'), oddName, oddValue)
    .map(([value, at, how, name, odd]) => {
      const whole: Record<string, unknown> = { value: structuredClone(value) }
      const spots = spotsOf(whole)
      const spot = spots[at % spots.length] ?? { holder: whole, name: 'value' }
      const inside = spot.holder[spot.name]
      if (how === 'remove' && spot.holder !== whole) Reflect.deleteProperty(spot.holder, spot.name)
      else if (how === 'add' && typeof inside === 'object' && inside !== null) {
        set({ holder: inside as Spot['holder'], name }, odd)
      } else set(spot, odd)
      return whole.value
    })
}

/** Text that is no JSON, or whatever JSON. */
export const junkBody: fc.Arbitrary<string | Buffer> = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.jsonValue().map((value) => JSON.stringify(value).slice(0, -1)),
  fc.string({ unit: 'binary' }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes))
)

/** Text for a path or a query, escaped, or as it should not be. */
export const junkText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '__proto__',
    '_default',
    '%2e%2e%2f',
    '%00',
    '%',
    '%zz',
    '%ff',
    '-1',
    '1e3',
    '0x10',
    'x'.repeat(129),
    'x'.repeat(2100)
  ),
  fc.string({ unit: 'binary' }).map(encodeURIComponent)
)

function spotsOf (holder: object): Spot[] {
  return Object.entries(holder).flatMap(([name, value]) => [
    { holder: holder as Spot['holder'], name },
    ...(typeof value === 'object' && value !== null ? spotsOf(value) : [])
  ])
}

/** Sets a member, `__proto__` too, which an assignment would take for something else. */
function set ({ holder, name }: Spot, value: unknown): void {
  Object.defineProperty(holder, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true
  })
}
