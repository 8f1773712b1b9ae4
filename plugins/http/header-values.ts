/**
 * Headers as they came: Node keeps the first of several, or joins them, and a proxy in front may do
 * otherwise.
 */

/**
 * Every value of a header, whatever the case of its name, in a list of names and values by turns.
 */
export function headerValues (rawHeaders: string[], name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) values.push(rawHeaders[i + 1] ?? '')
  }
  return values
}
