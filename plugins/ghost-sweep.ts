/** Sweeps ghosts in the background. Every replica may; one does at a time. */
import fp from 'fastify-plugin'
import { repeatLater, type Repeated } from '../services/util/repeat.ts'

/**
 * How much of the time a sweep may take: with a million users it goes on for minutes, and no
 * admission feels it.
 */
const SHARE = 0.1

export default fp(
  async (app) => {
    const everyMs = app.config.GHOST_SWEEP_INTERVAL_SECONDS * 1000
    if (app.redisLatencyMs === null || everyMs === 0) return

    let sweeping: Repeated | undefined
    app.addHook('onReady', async () => {
      sweeping = repeatLater({
        work: sweep,
        onError: (error) =>
          app.log.debug({ err: error }, 'the sweep was given up; the next one starts anew'),
        everyMs
      })
    })
    app.addHook('onClose', () => sweeping?.stop())

    async function sweep (): Promise<void> {
      if (!(await app.sweeper.claimSweep(everyMs))) return
      const keeping = repeatLater({
        // With many users a sweep takes longer than the time between two.
        work: async () => await app.sweeper.keepSweep(everyMs),
        onError: (error) => app.log.debug({ err: error }, 'another replica may sweep as well'),
        everyMs: everyMs / 3
      })
      try {
        const { users, removed } = await app.sweeper.sweep(SHARE)
        if (removed > 0) app.log.info({ users, removed }, 'removed ghosts')
      } finally {
        keeping.stop()
      }
    }
  },
  { name: 'ghost-sweep', dependencies: ['stores'] }
)
