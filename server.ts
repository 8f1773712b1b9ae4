/** The process: loads the settings, builds the service, listens, and closes on a signal. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { ConfigError, loadConfig } from './config.ts'
import { printWelcome } from './welcome.ts'

/** How long a close may take, in milliseconds. */
const CLOSE_DEADLINE_MS = 10_000

try {
  const settings = loadConfig()
  const secret = settings.JWT_SECRET ?? randomBytes(32).toString('base64')
  const app = await buildApp(settings, secret)
  closeWithGrace({ delay: CLOSE_DEADLINE_MS, logger: app.log }, async ({ err, signal }) => {
    if (err) app.log.fatal({ err }, 'stopping after an error')
    else app.log.info({ signal }, 'stopping')
    app.drain()
    if (!err) await sleep(settings.SHUTDOWN_DRAIN_SECONDS * 1000)
    await app.close()
  })
  await app.listen({ host: settings.HOST, port: settings.PORT })
  if (settings.JWT_SECRET === undefined && settings.NODE_ENV !== 'production') printWelcome(app)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.error(error.message)
  process.exit(1)
}
