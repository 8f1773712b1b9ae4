/** Puts a Lua script together: a line `-- include now` stands for the piece of that name. */

const INCLUDE = /^[ \t]*--[ \t]*include[ \t]+(.*?)[ \t]*$/gm

/**
 * A script with its pieces in place. A piece that is included again, by the script or by another
 * piece, is left out: its locals are there already.
 * @param script - the name of the script, for messages
 * @param pieces - the text of each piece, by its name
 * @throws Error for a piece that does not exist, and for pieces that include each other
 */
export function resolveIncludes (
  script: string,
  text: string,
  pieces: ReadonlyMap<string, string>
): string {
  const included = new Set<string>()
  const resolve = (text: string, path: string[]): string =>
    text.replace(INCLUDE, (_line, name: string) => {
      const way = [...path, name].join(' → ')
      if (path.includes(name)) throw new Error(`Lua pieces include each other: ${way}`)
      if (included.has(name)) return ''
      included.add(name)
      const piece = pieces.get(name)
      if (piece === undefined) throw new Error(`There is no Lua piece named "${name}": ${way}`)
      return resolve(piece.trimEnd(), [...path, name])
    })
  return resolve(text, [script])
}
