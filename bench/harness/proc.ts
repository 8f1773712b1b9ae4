/** What the operating system says of a process. Linux only: reads /proc. */
import { readdirSync, readFileSync } from 'node:fs'

/**
 * CPU time that the threads of a process have used so far, user and system together, in
 * milliseconds. The scheduler counts nanoseconds; /proc/<pid>/stat has hundredths of a second only.
 */
export function cpuMs (pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const times = threads.map((thread) => {
    const [ns] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')
    return Number(ns)
  })
  return times.reduce((sum, ns) => sum + ns, 0) / 1e6
}

/** Memory of a process that is resident now, in bytes. */
export function rssBytes (pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

/**
 * Reads a process's resident memory every few milliseconds; the returned function stops that and
 * returns the highest value.
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
