/** A load process: takes its options by IPC, answers once, and ends. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { adopt } from './processes.ts'

/**
 * Starts one, and waits for its answer.
 * @throws Error when the load failed, the process ended without an answer, or the deadline passed
 */
export async function runLoadProcess<R extends object> (
  file: 'http-load.js' | 'redis-load.js' | 'bare-list.js',
  options: object,
  deadlineMs: number
): Promise<R> {
  const child = fork(new URL(`../load/${file}`, import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  adopt(child)
  const done = new AbortController()
  const { signal } = done
  const deadline = setTimeout(
    () => done.abort(new Error(`the load process did not answer within ${deadlineMs} ms`)),
    deadlineMs
  )
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error('the load process ended without an answer')
  })
  try {
    child.send(options)
    const [answer] = (await Promise.race([once(child, 'message', { signal }), ended])) as [
      R | { error: string }
    ]
    if ('error' in answer) throw new Error(String(answer.error))
    return answer
  } finally {
    clearTimeout(deadline)
    ended.catch(() => {})
    done.abort()
    child.kill()
  }
}
