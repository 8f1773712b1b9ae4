/** What the operating system says of a process. Linux only: reads /proc. */
import { readFileSync } from 'node:fs'

/**
 * Linux reports CPU time to user space in hundredths of a second, whatever the kernel was built
 * with.
 */
const MS_PER_TICK = 10

/** CPU time that a process has used so far, user and system together, in milliseconds. */
export function cpuMs (pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK
}

/** Memory of a process that is resident now, in bytes. */
export function rssBytes (pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

/**
 * Watches a process' resident memory every few milliseconds; the returned function ends that and
 * gives the highest seen.
 */
export function watchPeakRss (pid: number, everyMs = 5): () => number {
  let peak = rssBytes(pid)
  const timer = setInterval(() => {
    peak = Math.max(peak, rssBytes(pid))
  }, everyMs)
  return () => {
    clearInterval(timer)
    return Math.max(peak, rssBytes(pid))
  }
}
