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
/** How long the last lines wait for a reader before the process ends, in milliseconds. */
const LAST_LINES_MS = 1_000
/** How long it rests between two tries to write them, in milliseconds. */
const LAST_RETRY_MS = 10

/** A destination of a logger. */
export class LogSink {
  /** Told when lines begin to be lost, and when they are written again. */
  onChange: (losing: boolean) => void = () => {}
  #fd: number
  #neverWaits: boolean
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
    const pipe = withoutBlocking(fd)
    this.#neverWaits = pipe !== undefined
    this.#fd = pipe ?? fd
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
   * Before the process ends: writes what waits, where somebody reads it soon.
   * @returns whether the process can end: a write that hangs would hold it
   */
  flushSync (): boolean {
    if (performance.now() - this.#startedMs > HANGS_MS) return false
    // Of a chunk whose write is under way the rest is not known.
    const rest = this.#startedMs === Infinity ? (this.#rest ?? '') : ''
    const lines = [...this.#lines.splice(0), this.#lost > 0 ? lostLine(this.#lost) : '']
    try {
      writeAll(this.#fd, Buffer.concat([rest, ...lines].map((part) => Buffer.from(part))))
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
    if (this.#neverWaits) {
      // At once, so that what is written is known at every moment, also when the process ends.
      let written = 0
      try {
        written = writeSync(this.#fd, chunk)
      } catch (error) {
        return this.#failed(error as NodeJS.ErrnoException)
      }
      return this.#wrote(chunk, written)
    }
    this.#startedMs = performance.now()
    write(this.#fd, chunk, 0, chunk.length, null, (error, written) => {
      this.#startedMs = Infinity
      if (error === null) this.#wrote(chunk, written)
      else this.#failed(error)
    })
  }

  #failed ({ code }: NodeJS.ErrnoException): void {
    if (code !== 'EAGAIN') this.#setLosing(true)
    setTimeout(() => this.#write(), RETRY_MS).unref()
  }

  #wrote (chunk: Buffer, written: number): void {
    this.#rest = written < chunk.length ? chunk.subarray(written) : undefined
    if (this.#rest === undefined) this.#written()
    if (this.#rest === undefined && this.#lines.length === 0) this.#busy = false
    else setImmediate(() => this.#write())
  }

  /** All of a chunk was written. */
  #written (): void {
    this.#waiting = this.#lines.reduce((sum, { length }) => sum + length, 0)
    if (this.#lost > 0) {
      this.#lines.unshift(lostLine(this.#lost))
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

/** A line that says how many were lost. */
function lostLine (lost: number): string {
  return `${JSON.stringify({ level: 40, time: Date.now(), lost, msg: 'log lines were lost' })}\n`
}

/** Writes all of it, in as many pieces as it takes. @throws Error where that takes too long */
function writeAll (fd: number, bytes: Buffer): void {
  const endMs = performance.now() + LAST_LINES_MS
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      const isFull = (error as NodeJS.ErrnoException).code === 'EAGAIN'
      if (!isFull || performance.now() > endMs) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_RETRY_MS)
    }
  }
}

/**
 * The same pipe, opened anew so that a write to it never waits. A write that waited would hold a
 * thread, and a process does not end before its threads do. Undefined for other kinds.
 */
function withoutBlocking (fd: number): number | undefined {
  try {
    if (!fstatSync(fd).isFIFO()) return undefined
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
}
