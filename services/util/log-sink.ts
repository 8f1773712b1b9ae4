/**
 * Writes log lines to a file descriptor without ever waiting for it: a full disk, or a pipe that
 * nobody reads, costs log lines and no calls.
 */
import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs'

/** How many characters wait at the most; a line that does not fit is lost, and counted. */
const MOST_WAITING = 4 * 1024 * 1024
/** How long it rests after a write that failed, in milliseconds. */
const RETRY_MS = 100
/** How long a write may take until it is taken to hang, in milliseconds. */
const HANGS_MS = 1_000

/** A destination of a logger. */
export class LogSink {
  /** Told when lines begin to be lost, and when they are written again. */
  onChange: (losing: boolean) => void = () => {}
  #fd: number
  #mostWaiting: number
  #lines: string[] = []
  #waiting = 0
  #rest: Buffer | undefined
  #busy = false
  /** When the write under way began; Infinity where there is none. */
  #startedMs = Infinity
  #lost = 0
  #losing = false

  /** @param fd - a file, a pipe, a terminal or a socket */
  constructor (fd: number, mostWaiting = MOST_WAITING) {
    this.#fd = withoutBlocking(fd)
    this.#mostWaiting = mostWaiting
  }

  /** Takes a line, with its line break. */
  write (line: string): void {
    if (this.#waiting + line.length > this.#mostWaiting) {
      this.#lost++
      this.#setLosing(true)
      return
    }
    this.#lines.push(line)
    this.#waiting += line.length
    if (this.#busy) return
    this.#busy = true
    setImmediate(() => this.#write())
  }

  /**
   * Before the process ends: writes what waits, where that does not wait.
   * @returns whether the process can end: a write that hangs would hold it
   */
  flushSync (): boolean {
    if (performance.now() - this.#startedMs > HANGS_MS) return false
    try {
      for (const line of this.#lines.splice(0)) writeSync(this.#fd, line)
    } catch {
      // Nobody reads it, or the disk is full.
    }
    return true
  }

  close (): void {
    if (this.#fd > 2) closeSync(this.#fd)
  }

  #write (): void {
    const chunk = (this.#rest ??= Buffer.from(this.#lines.splice(0).join('')))
    this.#startedMs = performance.now()
    write(this.#fd, chunk, 0, chunk.length, null, (error, written) => {
      this.#startedMs = Infinity
      if (error !== null) {
        if (error.code !== 'EAGAIN') this.#setLosing(true)
        setTimeout(() => this.#write(), RETRY_MS).unref()
        return
      }
      this.#rest = written < chunk.length ? chunk.subarray(written) : undefined
      if (this.#rest === undefined) this.#written()
      if (this.#rest === undefined && this.#lines.length === 0) this.#busy = false
      else this.#write()
    })
  }

  /** All of a chunk was written. */
  #written (): void {
    this.#waiting = this.#lines.reduce((sum, { length }) => sum + length, 0)
    if (this.#lost > 0) {
      const line = { level: 40, time: Date.now(), lost: this.#lost, msg: 'log lines were lost' }
      this.#lines.unshift(`${JSON.stringify(line)}\n`)
      this.#lost = 0
    }
    this.#setLosing(false)
  }

  #setLosing (losing: boolean): void {
    if (losing === this.#losing) return
    this.#losing = losing
    this.onChange(losing)
  }
}

/**
 * The same pipe, opened anew so that a write to it never waits. A write that waited would hold a
 * thread, and a process does not end before its threads do. Other kinds stay as they are.
 */
function withoutBlocking (fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO()) return fd
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return fd
  }
}
