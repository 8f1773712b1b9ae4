/**
 * Fails when files, or the folders that they stand in, import each other in a circle; an import of
 * types counts like any other. Part of `npm run lint`: ESLint sees one file at a time.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { filesBelow, importsOf } from './imports.mjs'

const FOLDERS = ['plugins', 'routes', 'schemas', 'services']

/** The part of the house that a file belongs to: `services/redis`, `routes`, `app.ts`. */
export function partOf (file) {
  const names = file.split('/')
  return names.slice(0, names[0] === 'services' ? 2 : 1).join('/')
}

/**
 * The imports of one circle, in order, or undefined without one.
 * @param imports - pairs of files: the importing one and the imported one
 * @param groupOf - what stands for a file; imports within one group do not count
 */
export function findCircle (imports, groupOf) {
  const edges = new Map()
  for (const edge of imports) {
    const group = groupOf(edge[0])
    edges.set(group, [...(edges.get(group) ?? []), edge])
  }
  const done = new Set()
  const path = []

  function visit (group) {
    const begin = path.findIndex(([from]) => groupOf(from) === group)
    if (begin >= 0) return path.slice(begin)
    if (done.has(group)) return undefined
    for (const edge of edges.get(group) ?? []) {
      if (groupOf(edge[1]) === group) continue
      path.push(edge)
      const circle = visit(groupOf(edge[1]))
      if (circle !== undefined) return circle
      path.pop()
    }
    done.add(group)
  }

  for (const group of edges.keys()) {
    const circle = visit(group)
    if (circle !== undefined) return circle
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)))
  const files = [
    ...readdirSync('.').filter((name) => name.endsWith('.ts')),
    ...FOLDERS.flatMap((folder) => filesBelow(folder, '.ts'))
  ]
  const imports = files.flatMap((file) => importsOf(file).map((imported) => [file, imported]))
  for (const [what, groupOf] of [['files', (file) => file], ['folders', partOf]]) {
    const circle = findCircle(imports, groupOf)
    if (circle === undefined) continue
    console.error(`These ${what} import each other in a circle:`)
    for (const [from, to] of circle) console.error(`  ${from} → ${to}`)
    process.exitCode = 1
  }
}
