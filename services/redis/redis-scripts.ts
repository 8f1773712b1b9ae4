/** The Lua scripts: read once at the start, one file a verb, callable by name. */
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

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
  sweepGhosts: '../sessions/lua/sweep-ghosts.lua'
}

/** Every script, by its verb. */
export type Scripts = Record<keyof typeof files, Script>

const texts = Object.entries(files).map(([name, path]) =>
  [name, readFileSync(new URL(path, import.meta.url), 'utf8')] as const)

/** Makes every script known to a client. */
export function loadScripts (client: Redis): Scripts {
  return Object.fromEntries(texts.map(([name, lua]) => {
    client.defineCommand(name, { lua })
    const command = (client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[name]
    if (command === undefined) throw new Error(`script ${name} was not defined`)
    return [name, (keys: string[], args: Array<string | number>) => command.call(client, keys.length, ...keys, ...args)]
  })) as Scripts
}
