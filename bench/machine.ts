/** What the figures were taken on. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { programs } from '../test/helpers/programs.ts'

/** One line each: machine, versions. */
export function machine (): string[] {
  const [cpu] = cpus()
  const printed = execFileSync(programs.redisServer, ['--version'], { encoding: 'utf8' })
  const redis = /v=(\S+)/.exec(printed)?.[1] ?? 'unknown'
  const memoryGiB = (totalmem() / 2 ** 30).toFixed(0)
  const model = cpu?.model.trim() ?? 'an unknown CPU'
  return [
    `${cpus().length} cores of ${model}, ${memoryGiB} GiB of memory`,
    `Node.js ${process.versions.node}, Fastify ${versionOf('fastify')}, ` +
      `ioredis ${versionOf('ioredis')}, Redis ${redis}`
  ]
}

function versionOf (name: string): string {
  let folder = dirname(createRequire(import.meta.url).resolve(name))
  while (!folder.endsWith(`node_modules/${name}`)) folder = dirname(folder)
  return (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { version: string }).version
}

/**
 * How busy the machine was before the run: what others do affects the figures, and ratios do not
 * take all of that out.
 */
export function loadBefore (): string {
  const [load = 0] = loadavg()
  const remark = load < cpus().length / 4 ? '' : '; the machine was not quiet'
  return `Load before the first comparison: ${load.toFixed(1)} on ${cpus().length} cores${remark}`
}
