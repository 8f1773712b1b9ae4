/** Which file imports which, read from the sources: for the checks of this folder. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** The files that a file imports by a relative path, types included, as paths from the root. */
export function importsOf (file) {
  return ts
    .preProcessFile(readFileSync(file, 'utf8'))
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => join(file, '..', name))
    .filter((path) => existsSync(path))
}

/** All files that a file needs, directly or not, itself included. */
export function reachableFrom (file) {
  const found = new Set([file])
  for (const path of found) for (const next of importsOf(path)) found.add(next)
  return found
}

/** The files of a folder and of those below it whose names end as given. */
export function filesBelow (folder, ending) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name))
    .sort()
}
