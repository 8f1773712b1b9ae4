/** The Lua scripts: put together once at the start, one file a verb, callable by name. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { EncodedCommand } from './encoded-command.ts'
import { resolveIncludes } from './include.ts'
import { outcomePieces } from './script-outcomes.ts'

/**
 * Runs a script in one round trip; its text is sent only to a Redis that does not know it yet.
 * @throws the error with which Redis answers
 */
export type Script = (keys: string[], args: Array<string | number>) => Promise<unknown>

const files = {
  writeLimits: '../limits/lua/write-limits.lua',
  setTemporaryLimit: '../limits/lua/set-temporary-limit.lua',
  setBar: '../limits/lua/set-bar.lua',
  updatePolicy: '../policy/lua/update-policy.lua',
  acquire: '../sessions/lua/acquire.lua',
  renew: '../sessions/lua/renew.lua',
  release: '../sessions/lua/release.lua',
  count: '../sessions/lua/count.lua',
  purge: '../sessions/lua/purge.lua',
  claim: '../sessions/lua/claim.lua',
  endClaim: '../sessions/lua/end-claim.lua',
  endUser: '../sessions/lua/end-user.lua',
  reportNode: '../sessions/lua/report-node.lua',
  reportPart: '../sessions/lua/report-part.lua',
  probe: '../outage/lua/probe.lua',
  inspect: '../health/lua/inspect.lua',
  restore: '../outage/lua/restore.lua',
  revokeKey: '../auth/lua/revoke-key.lua',
  countRequest: '../rate-limit/lua/count-request.lua',
  shiftLeases: '../sessions/lua/shift-leases.lua',
  sweepGhosts: '../sessions/lua/sweep-ghosts.lua'
}

/** The name of a script, which is its verb. */
export type ScriptName = keyof typeof files

/** Every script, by its verb. */
export type Scripts = Record<ScriptName, Script>

/** The text of every script, its pieces included, as Redis is sent it. */
export const scriptTexts = readScripts()

/** Makes every script callable on a client. */
export function loadScripts (client: Redis): Scripts {
  return Object.fromEntries(
    Object.entries(scriptTexts).map(([name, lua]) => [name, scriptOn(client, lua)])
  ) as Scripts
}

function readScripts (): Record<ScriptName, string> {
  const pieces = readPieces()
  return Object.fromEntries(
    Object.entries(files).map(([name, path]) => {
      const text = readFileSync(new URL(path, import.meta.url), 'utf8')
      return [name, resolveIncludes(path.slice('../'.length), text, pieces)]
    })
  ) as Record<ScriptName, string>
}

function readPieces (): Map<string, string> {
  const folder = new URL('./lua/', import.meta.url)
  const pieces = new Map<string, string>(Object.entries(outcomePieces))
  for (const file of readdirSync(folder)) {
    pieces.set(file.replace(/\.lua$/, ''), readFileSync(new URL(file, folder), 'utf8'))
  }
  return pieces
}

function scriptOn (client: Redis, lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex')
  const call = (
    name: 'evalsha' | 'eval',
    script: string,
    keys: string[],
    args: Array<string | number>
  ) =>
    client.sendCommand(
      new EncodedCommand(name, keys[0], [script, keys.length], keys, args)
    ) as Promise<unknown>
  return (keys, args) =>
    call('evalsha', sha, keys, args).catch(async (error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error
      return await call('eval', lua, keys, args)
    })
}
