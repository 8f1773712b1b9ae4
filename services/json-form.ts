/** What JSON allows and a body may not have: names that repeat, on which readers disagree (RFC 8259, 4), and great depth. */

/** The most objects and arrays that may stand in one another. */
export const MAX_DEPTH = 32

/** A string, with the colon behind it where it is a name, or a bracket. */
const TOKEN = /"([^"\\]*(?:\\.[^"\\]*)*)"\s*(:?)|[{}[\]]/g

/** What is wrong with a text, which must be JSON; undefined when nothing is. */
export function formProblem (json: string): string | undefined {
  const open: Array<Set<string> | undefined> = []
  for (const [token, text, colon] of json.matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      if (open.push(undefined) > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`
    } else if (token === '}' || token === ']') {
      open.pop()
    } else if (colon === ':' && text !== undefined) {
      const name = text.includes('\\') ? JSON.parse(`"${text}"`) as string : text
      const names = (open[open.length - 1] ??= new Set())
      if (names.has(name)) return 'names a member twice'
      names.add(name)
    }
  }
  return undefined
}
