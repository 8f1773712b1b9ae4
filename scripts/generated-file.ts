/** Writes generated files or, with `--check`, compares them, for CI. */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** Whether a module was started as a program, and not imported. */
export function isProgram (moduleUrl: string): boolean {
  return process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === moduleUrl
}

/** Writes each file. With `--check`, names the files that are out of date and fails instead. */
export function writeOrCheck (files: Record<string, string>, command: string): void {
  for (const [path, text] of Object.entries(files)) {
    if (!process.argv.includes('--check')) writeFileSync(path, text)
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`${path} is out of date: run \`${command}\`.`)
      process.exitCode = 1
    }
  }
}
