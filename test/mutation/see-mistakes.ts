import type { Redis } from 'ioredis'
import type { Test } from 'tap'
import { type Script, type ScriptName, scriptTexts } from '../../services/redis/scripts.ts'
import type { Mutant } from './acquire-mutants.ts'

/**
 * Makes each mistake in a script: a check must see it.
 * @param check - what is wrong where this script stands in for that one; undefined for nothing
 */
export async function seeMistakes (
  t: Test,
  client: Redis,
  name: ScriptName,
  mutants: Mutant[],
  check: (script: Script) => Promise<string | undefined>
): Promise<void> {
  const original = scriptTexts[name]
  for (const [mistake, text, instead] of mutants) {
    t.equal(
      original.split(text).length - 1,
      1,
      `the text to change is in the script, once: ${text}`
    )
    const lua = original.replace(text, () => instead)
    const broken = await check(async (keys, args) =>
      await client.eval(lua, keys.length, ...keys, ...args))
    t.ok(broken, `${mistake} → ${broken?.slice(0, 160)}`)
  }
}
