/** What every object inherits from, and the names that every program uses. */
const SHARED: Array<[string, object]> = [
  ...[
    Object, Array, Function, String, Number, Boolean, BigInt, Symbol, RegExp, Date, Error, TypeError, RangeError, SyntaxError,
    Promise, Map, Set, WeakMap, WeakSet, ArrayBuffer, Uint8Array, Buffer, URL, URLSearchParams
  ].flatMap((type): Array<[string, object]> => [[type.name, type], [`${type.name}.prototype`, type.prototype as object]]),
  ['JSON', JSON], ['Math', Math], ['Reflect', Reflect]
]

/** Looks at the prototypes now; the function that it gives names whatever has changed about them since. */
export function watchPrototypes (): () => string[] {
  const before = look()
  return () => {
    const after = look()
    return [...new Set([...before.keys(), ...after.keys()])].filter((name) => !same(before.get(name), after.get(name)))
  }
}

/** Every own member of each of them, what each inherits from, and which globals there are. */
function look (): Map<string, PropertyDescriptor> {
  const members = new Map<string, PropertyDescriptor>()
  for (const [name, object] of SHARED) {
    members.set(`what ${name} inherits from`, { value: Object.getPrototypeOf(object) })
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(object))) members.set(`${name}.${key}`, descriptor)
  }
  for (const name of Object.getOwnPropertyNames(globalThis)) members.set(`globalThis.${name}`, {})
  return members
}

function same (one: PropertyDescriptor | undefined, other: PropertyDescriptor | undefined): boolean {
  if (one === undefined || other === undefined) return false
  return (['value', 'get', 'set', 'writable', 'enumerable', 'configurable'] as const).every((key) => Object.is(one[key], other[key]))
}
