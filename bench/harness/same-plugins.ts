/**
 * Holds the twins to the service: whatever plugin or option of Fastify the service has, a twin has
 * too.
 */
import { once } from 'node:events'
import { buildApp } from '../../app.ts'
import { loadConfig } from '../../config.ts'
import type { Bench } from '../bench.ts'
import { SECRET } from './token.ts'

/**
 * What makes the service the service: a twin goes without. Node binding asks the stores, and adds
 * nothing unless it is set.
 */
const WITHOUT = ['redis', 'etcd', 'stores', 'node-binding', 'ghost-sweep', 'health']

/** How an instance of Fastify was put together. */
export interface Makeup {
  plugins: string
  options: object
}

/** @throws Error naming what the twin lacks or has too much */
export async function checkTwin (bench: Bench): Promise<void> {
  const app = await buildApp(
    loadConfig({ MOCK_SESSION_LIMITS: 'true', LOG_LEVEL: 'silent' }),
    SECRET
  )
  await app.ready()
  const service: Makeup = { plugins: app.printPlugins(), options: app.initialConfig }
  await app.close()
  const { child } = await bench.twin()
  child.send('makeup')
  const [twin] = (await once(child, 'message')) as [Makeup]
  await bench.end()

  const [inService, inTwin] = [pluginsOf(service), pluginsOf(twin)]
  const missing = inService.filter((name) => !inTwin.includes(name) && !WITHOUT.includes(name))
  const surplus = inTwin.filter((name) => !inService.includes(name))
  if (missing.length + surplus.length > 0) {
    throw new Error(
      `bench/twins/build-twin.ts is not as app.ts: it lacks ${missing.join(', ') || 'no plugin'}, ` +
        `and has ${surplus.join(', ') || 'none'} too much`
    )
  }
  const [ofService, ofTwin] = [JSON.stringify(service.options), JSON.stringify(twin.options)]
  if (ofService !== ofTwin) {
    throw new Error(
      `The twin has other options of Fastify: ${ofTwin}, and the service ${ofService}`
    )
  }
}

/** The names in a printed tree of plugins, without what Fastify numbers or times itself. */
function pluginsOf ({ plugins }: Makeup): string[] {
  return [
    ...new Set(
      [...plugins.matchAll(/[├└]── (.+?)(?:-auto-\d+)? [\d.]+ ms/g)].map(([, name = '']) => name)
    )
  ].filter((name) => !/^(?:bound )?_|^$/.test(name))
}
