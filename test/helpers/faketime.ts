/** A clock of its own for a server process, which tests can set while it runs. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Teardown, temporaryFolder } from './process.ts'

const source = fileURLToPath(new URL('fake-clock.c', import.meta.url))

/** A clock that a process goes by. */
export interface FakeClock {
  /** The environment of the process. */
  env: Record<string, string>
  /** Sets the clock so many seconds ahead of the machine's; negative is behind. */
  set(aheadSeconds: number): void
}

/**
 * Makes a clock, by a library that a C compiler makes of a few lines.
 * @throws Error that says what to install
 */
export function fakeClock (t: Teardown, aheadSeconds = 0): FakeClock {
  const folder = temporaryFolder(t)
  const [library, file] = [join(folder, 'fake-clock.so'), join(folder, 'ahead')]
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source])
  } catch (cause) {
    throw new Error('This test needs a C compiler: apt-get install gcc libc6-dev', { cause })
  }
  const set = (seconds: number) => writeFileSync(file, `${seconds}`.padEnd(20))
  set(aheadSeconds)
  return { env: { LD_PRELOAD: library, FAKE_CLOCK: file }, set }
}
