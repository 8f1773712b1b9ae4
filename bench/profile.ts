/** The functions of a CPU profile by their own time, without the time of those they called. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface CpuProfile {
  nodes: Array<{ id: number; callFrame: { functionName: string; url: string; lineNumber: number } }>
  samples: number[]
  timeDeltas: number[]
}

/** The functions with the most time of their own in all profiles of a folder, without idle time. */
export function topFunctions (folder: string, most = 40): string {
  const own = new Map<string, number>()
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))) {
    addOwnTimes(JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile, own)
  }
  const total = [...own.values()].reduce((sum, us) => sum + us, 0)
  const lines = [...own].sort(([, a], [, b]) => b - a).slice(0, most)
  return lines
    .map(([name, us]) => `${((us / total) * 100).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n')
}

function addOwnTimes ({ nodes, samples, timeDeltas }: CpuProfile, own: Map<string, number>): void {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url.replace(/^.*\/(node_modules|\.cache\/bench\/dist)\//, '')
      return [
        id,
        `${functionName || '(anonymous)'}${place === '' ? '' : ` ${place}:${lineNumber + 1}`}`
      ]
    })
  )
  for (const [i, id] of samples.entries()) {
    const name = names.get(id) ?? '(unknown)'
    if (!name.startsWith('(idle)')) own.set(name, (own.get(name) ?? 0) + (timeDeltas[i] ?? 0))
  }
}
