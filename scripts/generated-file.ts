/** Files that are written from the code: `--check` compares instead, for CI. */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** Whether a module is the program that runs, and not imported by another. */
export function isProgram (moduleUrl: string): boolean {
  return process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === moduleUrl
}

/**
 * Writes each file, or with `--check` names those that differ from what the code says and fails.
 */
export function writeOrCheck (files: Record<string, string>, command: string): void {
  for (const [path, text] of Object.entries(files)) {
    if (!process.argv.includes('--check')) writeFileSync(path, text)
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`${path} is not what the code says: run \`${command}\`.`)
      process.exitCode = 1
    }
  }
}
