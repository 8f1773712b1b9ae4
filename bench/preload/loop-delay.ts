/**
 * Loaded before the service by `--import`: tells the parent process, when asked, how late the event
 * loop has run since it was asked before.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 1
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
histogram.enable()

process.on('message', (message) => {
  if (message !== 'loop-delay') return
  const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  process.send?.({ p99Ms: ms(histogram.percentile(99)), maxMs: ms(histogram.max) })
  histogram.reset()
})
process.channel?.unref()
