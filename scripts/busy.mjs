/**
 * Runs a command beside eight busy loops, as on a machine that others use, too:
 * `npm run test:busy [command …]`; without a command `npm test`. The loops end with the command, or
 * by themselves after an hour.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const LOOPS = 8
const HOUR_MS = 3_600_000
const loop = `const end = Date.now() + ${HOUR_MS}
while (Date.now() < end && process.ppid === ${process.pid});`

const [program = 'npm', ...args] = process.argv.length > 2 ? process.argv.slice(2) : ['npm', 'test']
const loops = Array.from({ length: LOOPS }, () =>
  spawn(process.execPath, ['-e', loop], { stdio: 'ignore' })
)
try {
  const command = spawn(program, args, { stdio: 'inherit' })
  process.on('SIGTERM', () => command.kill('SIGTERM'))
  process.on('SIGINT', () => {}) // a terminal sends it to both
  const [status] = await once(command, 'exit')
  process.exitCode = status ?? 1
} finally {
  for (const one of loops) one.kill('SIGKILL')
}
