/**
 * Reads repeated headers. Node keeps only the first of them or joins them, and a proxy in front may
 * do otherwise.
 */

/**
 * All values of a header. The case of its name does not matter.
 * @param rawHeaders - names and values in turn, as Node gives them
 * @param name - in lower case
 */
export function headerValues (rawHeaders: string[], name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) values.push(rawHeaders[i + 1] ?? '')
  }
  return values
}
