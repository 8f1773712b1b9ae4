/** Sweeps ghosts in the background: every replica may, one at a time does. */
import fp from 'fastify-plugin'

/**
 * How much of the time a sweep may take: with a million users it goes on for minutes, and no
 * admission feels it.
 */
const SHARE = 0.1

export default fp(
  async (app) => {
    const everyMs = app.config.GHOST_SWEEP_INTERVAL_SECONDS * 1000
    if (app.checkRedis === null || everyMs === 0) return
    let timer: NodeJS.Timeout | undefined
    let closing = false
    const sweep = async () => {
      let keeping: NodeJS.Timeout | undefined
      try {
        if (await app.sessionStore.claimSweep(everyMs)) {
          keeping = setInterval(keep, everyMs / 3).unref()
          const { users, removed } = await app.sessionStore.sweep(SHARE)
          if (removed > 0) app.log.info({ users, removed }, 'ghosts swept')
        }
      } catch (error) {
        app.log.debug({ err: error }, 'the sweep for ghosts was given up; the next one starts anew')
      } finally {
        clearInterval(keeping)
      }
      if (!closing) timer = setTimeout(sweep, everyMs).unref()
    }
    /** With many users a sweep takes longer than the time between two. */
    const keep = () => {
      app.sessionStore
        .keepSweep(everyMs)
        .catch((error: unknown) => app.log.debug({ err: error }, 'another replica may sweep, too'))
    }
    app.addHook('onReady', async () => {
      timer = setTimeout(sweep, everyMs).unref()
    })
    app.addHook('onClose', () => {
      closing = true
      clearTimeout(timer)
    })
  },
  { name: 'ghost-sweep', dependencies: ['stores'] }
)
