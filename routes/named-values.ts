/** Entries as a JSON object whose members may have any name, `__proto__` too. */

/** An object without a prototype, so that no name means anything but itself. */
export function namedValues (entries: Array<[string, number]>): Record<string, number> {
  const values: Record<string, number> = Object.create(null)
  for (const [name, value] of entries) values[name] = value
  return values
}
