/** A switch node's report that comes in parts: what they have listed is kept until the last. */
import { MAX_NODE_SESSIONS } from '../../../schemas/nodes.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import type { NodeReconciliation } from '../session-store.ts'
import { PART_MEMORY_MS } from '../timing.ts'
import { STEP, membersOf, removeSet } from './node-index.ts'

/**
 * Notes a part.
 * @returns when the first part came, or that a part is missing or the total is another one
 */
export async function notePart (
  executor: RedisExecutor,
  keys: RedisKeys,
  { node, epoch, total, given, ageMs }: NodeReconciliation,
  { number, of }: { number: number; of: number }
): Promise<{ firstMs: number } | 'incomplete'> {
  const age = Math.ceil(ageMs)
  const args = [epoch, number, of, given, age, PART_MEMORY_MS, total ?? '', executor.deadline()]
  const [code, sum = 0, firstMs = 0, expected = -1] = (await executor.run(
    executor.scripts.reportPart([keys.nodeReport(node)], args)
  )) as number[]
  if (outcomeOf(code ?? 0) === 'incomplete') return 'incomplete'
  return number === of && expected !== -1 && expected !== sum ? 'incomplete' : { firstMs }
}

/**
 * Keeps what a part lists.
 * @returns false where the parts have listed more than they can, because one came time and again
 */
export async function noteListed (
  executor: RedisExecutor,
  keys: RedisKeys,
  { node, sessions }: NodeReconciliation,
  { number, of }: { number: number; of: number }
): Promise<boolean> {
  const { client } = executor
  const key = keys.nodeListed(node)
  if (number === 1) await removeSet(executor, key)
  if ((await executor.run(client.scard(key))) > of * MAX_NODE_SESSIONS) return false
  for (let i = 0; i < sessions.length; i += STEP) {
    const step = sessions.slice(i, i + STEP)
    const members = step.map(({ username, sessionId }) => `${username} ${sessionId}`)
    await executor.run(client.sadd(key, ...members))
  }
  await executor.run(client.pexpire(key, PART_MEMORY_MS))
  return true
}

/**
 * The members of a node's index that no part has listed. What they have listed stays for a while:
 * the last part comes again where its answer was lost.
 */
export async function missingInParts (
  executor: RedisExecutor,
  keys: RedisKeys,
  node: string
): Promise<string[]> {
  const { client } = executor
  const missing = new Set<string>()
  for await (const members of membersOf(executor, keys.nodeLeases(node))) {
    if (members.length === 0) continue
    const listed = await executor.run(client.smismember(keys.nodeListed(node), ...members))
    members.forEach((member, i) => {
      if (listed[i] === 0) missing.add(member)
    })
  }
  return [...missing]
}
