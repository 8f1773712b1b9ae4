/** The process: loads the settings, builds the service, listens, and closes on a signal. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import {
  ConfigError,
  describeUnknownSettings,
  listenHost,
  loadConfig,
  printsToken
} from './config.ts'
import { errorForLog } from './plugins/http/error-for-log.ts'
import { LogSink } from './services/util/log-sink.ts'
import { printWelcome } from './welcome.ts'

/** How long a close may take, in milliseconds. */
const CLOSE_DEADLINE_MS = 10_000

try {
  const settings = loadConfig()
  const secret = settings.JWT_SECRET ?? randomBytes(32).toString('base64')
  const sink = new LogSink(1)
  process.once('exit', () => {
    // A write that hangs holds a thread, and the process with it.
    if (!sink.flushSync()) process.kill(process.pid, 'SIGKILL')
  })
  const app = await buildApp(settings, secret, { logger: { stream: sink } })
  sink.onChange = (losing) =>
    losing
      ? app.warnings.raise('log', 'Log lines are lost: free the disk, or read the output.')
      : app.warnings.clear('log')
  closeWithGrace({ delay: CLOSE_DEADLINE_MS, logger: app.log }, async ({ err, signal }) => {
    if (err) app.log.fatal({ err }, 'stopping after an error')
    else app.log.info({ signal }, 'stopping')
    app.drain()
    if (!err) await sleep(settings.SHUTDOWN_DRAIN_SECONDS * 1000)
    await app.close()
  })
  const names = describeUnknownSettings()
  if (names !== undefined) app.log.warn({ names }, 'this service does not know these settings')
  await app.listen({ host: listenHost(settings), port: settings.PORT }).catch((error: Error) => {
    throw new ConfigError(`HOST, PORT: it is not possible to listen there (${error.message})`)
  })
  if (printsToken(settings)) printWelcome(app)
} catch (error) {
  // On stderr, at every log level. The error itself may have a URL with a password in it.
  const { type, message, stack, code } = errorForLog(error)
  if (error instanceof ConfigError) console.error(error.message)
  else console.error(code === undefined ? stack : `The start failed: ${type}: ${message}`)
  process.exit(1)
}
