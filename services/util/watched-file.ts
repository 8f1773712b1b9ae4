/** A file that others replace while the service runs, such as a certificate that is renewed. */
import { readFileSync, statSync } from 'node:fs'

/** How long it is taken to be as it was, in milliseconds. */
const FRESH_MS = 1_000

/** Holds the text of a file, and reads it again when the file has changed. */
export class WatchedFile {
  #path: string
  #text: string
  #version: string
  #lookedMs = performance.now()

  /** @throws Error where the file cannot be read */
  constructor (path: string) {
    this.#path = path
    this.#version = versionOf(path)
    this.#text = readFileSync(path, 'utf8')
  }

  /** The text as it is now; as it was last, while the file cannot be read. */
  get text (): string {
    const nowMs = performance.now()
    if (nowMs - this.#lookedMs < FRESH_MS) return this.#text
    this.#lookedMs = nowMs
    try {
      const version = versionOf(this.#path)
      if (version !== this.#version) {
        this.#text = readFileSync(this.#path, 'utf8')
        this.#version = version
      }
    } catch {
      // It is being replaced.
    }
    return this.#text
  }
}

function versionOf (path: string): string {
  const { ino, mtimeMs, size } = statSync(path)
  return `${ino} ${mtimeMs} ${size}`
}
