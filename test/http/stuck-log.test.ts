/** The log cannot be written: lines are lost, and nothing else is. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createSigner } from 'fast-jwt'
import t, { type Test } from 'tap'
import { LogSink } from '../../services/util/log-sink.ts'
import { ADMIN, TEST_SECRET } from '../helpers/app.ts'
import { freePort } from '../helpers/ports.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { waitFor } from '../helpers/wait.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const strip = import.meta.resolve('@tapjs/typescript/import')
const AUTHORIZATION = `Bearer ${createSigner({ key: TEST_SECRET, expiresIn: 3600_000 })(ADMIN)}`

/** A pipe that is open at both ends and that nobody reads. */
function pipe (t: Test): { path: string; fd: number } {
  const path = join(temporaryFolder(t), 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fd))
  return { path, fd }
}

function readAll (fd: number): string {
  let text = ''
  const buffer = Buffer.alloc(65_536)
  try {
    for (;;) text += buffer.toString('utf8', 0, readSync(fd, buffer))
  } catch {
    return text
  }
}

/** The service, its output written there. */
async function serve (t: Test, stdout: number) {
  const port = await freePort()
  const child = spawn(process.execPath, [`--import=${strip}`, 'server.ts'], {
    cwd: root,
    stdio: ['ignore', stdout, 'ignore'],
    env: {
      ...process.env,
      PORT: String(port),
      HOST: '127.0.0.1',
      JWT_SECRET: TEST_SECRET,
      MOCK_SESSION_LIMITS: 'true',
      MAX_SESSIONS_PER_USER: '1'
    }
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const ask = async (path: string, body?: object) =>
    await fetch(`http://127.0.0.1:${port}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: AUTHORIZATION, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(5_000)
    })
  const live = async () => (await ask('/healthz/live').catch(() => ({ status: 0 }))).status
  await waitFor(async () => (await live()) === 200, { what: 'the service', deadlineMs: 120_000 })
  return { child, ended, ask, live }
}

const outputs = {
  'a pipe that nobody reads': (t: Test) => openSync(pipe(t).path, constants.O_RDWR),
  'a full disk': () => openSync('/dev/full', 'w')
}

for (const [what, open] of Object.entries(outputs)) {
  t.test(`${what}: the service goes on, and ends when it is told to`, async (t) => {
    const { child, ended, ask, live } = await serve(t, open(t))
    let refused = 0
    for (let i = 0; i < 1_500; i++) {
      const from = `someone with a long name ${'x'.repeat(100)}`
      const body = { username: 'alice', session_id: `s${i}`, from }
      const answer = await ask('/api/sessions', body).catch(() => ({ status: 0 }))
      if (answer.status === 409) refused++
      if (answer.status === 0) break
    }
    t.equal(refused, 1_499, 'every call is answered')
    t.equal(await live(), 200, 'it is live')
    const startMs = performance.now()
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
    const [, signal] = await ended
    clearTimeout(late)
    t.equal(signal, null, 'it ends by itself')
    t.ok(performance.now() - startMs < 10_000, 'within ten seconds')
  })
}

t.test('when it can be written again, what was lost is counted', async (t) => {
  const { path, fd } = pipe(t)
  const output = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  const sink = new LogSink(output, 100_000)
  t.teardown(() => sink.close())
  const told: boolean[] = []
  sink.onChange = (losing) => told.push(losing)
  const line = `${'x'.repeat(999)}\n`
  for (let i = 0; i < 500; i++) {
    sink.write(line)
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await waitFor(() => told.length > 0, { what: 'lines to be lost' })
  let text = ''
  const whole = () => text.split('\n').filter((one) => one === line.trim()).length
  const lost = () =>
    [...text.matchAll(/"lost":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)
  await waitFor(
    () => {
      text += readAll(fd)
      return whole() + lost() === 500
    },
    { what: 'every line to be written whole, or counted' }
  )
  t.ok(lost() > 0)
  await waitFor(() => told.at(-1) === false, { what: 'the end of it' })
})

t.test('the last lines of a process are whole, where somebody still reads', async (t) => {
  const { path, fd } = pipe(t)
  const output = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  const sink = new LogSink(output, 400_000)
  t.teardown(() => sink.close())
  const read = join(temporaryFolder(t), 'read')
  // It stops before it reads, so that the pipe is full.
  const reader = spawn('sh', ['-c', 'kill -STOP $$; exec cat "$0" > "$1"', path, read])
  t.teardown(() => reader.kill('SIGKILL'))
  const stopped = () => / T /.test(readFileSync(`/proc/${reader.pid}/stat`, 'utf8'))
  await waitFor(stopped, { what: 'the reader to stop' })
  const line = `${'x'.repeat(999)}\n`
  const told: boolean[] = []
  sink.onChange = (losing) => told.push(losing)
  for (let i = 0; i < 500; i++) {
    sink.write(line)
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await waitFor(() => told.length > 0, { what: 'lines to be lost' })
  reader.kill('SIGCONT')
  t.ok(sink.flushSync())
  const lines = () => readFileSync(read, 'utf8').split('\n').slice(0, -1)
  const lost = () => Number(/"lost":(\d+)/.exec(lines().at(-1) ?? '')?.[1])
  await waitFor(() => lines().length + lost() === 501, { what: 'all lines to be read' })
  t.strictSame([...new Set(lines().slice(0, -1))], [line.trim()], 'each is whole')
  t.ok(lost() > 0)
  t.equal(readAll(fd), '')
})
