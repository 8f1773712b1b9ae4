/** The Lua scripts: read once at the start, one file a verb, callable by name. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { EncodedCommand } from './encoded-command.ts'

/** Runs a script in one round trip; Redis is sent its text only where it does not know it yet. */
export type Script = (keys: string[], args: Array<string | number>) => Promise<unknown>

const files = {
  setTemporaryLimit: '../limits/lua/set-temporary-limit.lua',
  updatePolicy: '../policy/lua/update-policy.lua',
  acquire: '../sessions/lua/acquire.lua',
  renew: '../sessions/lua/renew.lua',
  release: '../sessions/lua/release.lua',
  count: '../sessions/lua/count.lua',
  purge: '../sessions/lua/purge.lua',
  claim: '../sessions/lua/claim.lua',
  reportNode: '../sessions/lua/report-node.lua',
  probe: '../outage/lua/probe.lua',
  restore: '../outage/lua/restore.lua',
  countRequest: '../rate-limit/lua/count-request.lua',
  sweepGhosts: '../sessions/lua/sweep-ghosts.lua'
}

/** Every script, by its verb. */
export type Scripts = Record<keyof typeof files, Script>

const texts = Object.entries(files).map(
  ([name, path]) => [name, readFileSync(new URL(path, import.meta.url), 'utf8')] as const
)

/** Makes every script callable on a client. */
export function loadScripts (client: Redis): Scripts {
  return Object.fromEntries(texts.map(([name, lua]) => [name, scriptOn(client, lua)])) as Scripts
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
