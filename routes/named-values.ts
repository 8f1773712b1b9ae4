/** Makes objects from entries whose names may be anything, including `__proto__`. */

/** The entries as an object without a prototype, so that no name has a special meaning. */
export function namedValues (entries: Array<[string, number]>): Record<string, number> {
  const values: Record<string, number> = Object.create(null)
  for (const [name, value] of entries) values[name] = value
  return values
}
