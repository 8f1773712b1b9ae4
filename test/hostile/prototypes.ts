/** What every object inherits, before and after. */

const SHARED = {
  Object,
  Array,
  String,
  Number,
  Boolean,
  Function,
  Promise,
  Map,
  Set,
  Date,
  RegExp,
  Error,
  Uint8Array,
  Buffer,
  URL,
  URLSearchParams
}

/** Every member of the prototypes that all code shares, by name. */
export function prototypes (): Map<string, unknown> {
  return new Map(
    Object.entries(SHARED).flatMap(([name, { prototype }]) =>
      Reflect.ownKeys(prototype).map((key): [string, unknown] => {
        const { value, get } = Reflect.getOwnPropertyDescriptor(prototype, key) ?? {}
        return [`${name}.prototype.${String(key)}`, value ?? get]
      })
    )
  )
}

/** The names of what was added, removed or replaced. */
export function changes (before: Map<string, unknown>, after: Map<string, unknown>): string[] {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].filter(
    (name) => before.has(name) !== after.has(name) || before.get(name) !== after.get(name)
  )
}
