/** What is done to the servers, the network and the service, as the dice say. */
import { setTimeout as sleep } from 'node:timers/promises'
import { runCli } from '../helpers/redis-cli.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { waitFor } from '../helpers/wait.ts'
import type { OwnCall } from './callers.ts'
import type { World } from './checker.ts'
import { type Deployment, REPLICAS } from './deployments.ts'
import type { Dice } from './dice.ts'
import type { Replica } from './replicas.ts'

/** How much a replica of Redis may lack when it takes over. */
const BEHIND_MS = 1000
/** How long a failover may take that was asked for. */
const FAILOVER_MS = 30_000
/** Within which a step of the clock is noticed. */
const NOTICED_MS = 1000
const PREFIX = 'voice-ferry-c4:'

/** Where a fault happens. */
export interface Scene {
  deployment: Deployment
  replicas: Replica[]
  dice: Dice
  world: World
  /** Calls that are up. */
  up: () => OwnCall[]
}

/** Strikes; says what it did, and how to end it. */
export type Fault = (scene: Scene) => Promise<{ what: string; heal: () => unknown }>

const nothing = () => {}

/** Notes that what Redis was told from then on until now may be lost. */
function lose ({ world }: Scene, backToMs: number): void {
  world.losses.push({ backToMs, untilMs: performance.now() })
}

/** Some proxies: of one replica of the service or of all, to every server or to a single one. */
function somewhere ({ dice, deployment: { network, servers } }: Scene) {
  const replica = dice.happens(0.6) ? dice.between(0, REPLICAS - 1) : undefined
  const server = dice.happens(0.3) ? dice.of(servers) : undefined
  const proxies = Array.from({ length: REPLICAS }, (_, i) => i)
    .filter((i) => replica === undefined || i === replica)
    .flatMap((i) => network.proxies(i, server && [server]))
  const from = replica === undefined ? 'all replicas' : `replica ${replica}`
  const to = server === undefined ? 'all servers' : `server ${servers.indexOf(server)}`
  return { proxies, where: `between ${from} and ${to}` }
}

const cut: Fault = async (scene) => {
  const { proxies, where } = somewhere(scene)
  const swallows = scene.dice.happens(0.5)
  for (const proxy of proxies) swallows ? proxy.blackhole() : proxy.reset()
  const heal = () => proxies.forEach((proxy) => proxy.pass())
  return { what: `${swallows ? 'everything swallowed' : 'cut'} ${where}`, heal }
}

const delay: Fault = async (scene) => {
  const { proxies, where } = somewhere(scene)
  const ms = scene.dice.of([40, 150, 300, 1500])
  for (const proxy of proxies) proxy.delay(ms)
  return { what: `delayed by ${ms} ms ${where}`, heal: () => proxies.forEach((one) => one.pass()) }
}

/** One of the masters; which one, by its place. */
async function anyMaster ({ deployment, dice }: Scene): Promise<[RedisServer, string]> {
  const master = dice.of(await deployment.masters())
  return [master, `server ${deployment.servers.indexOf(master)}, a master`]
}

const kill: Fault = async (scene) => {
  const [master, name] = await anyMaster(scene)
  await master.kill()
  const heal = async () => {
    await master.restart()
    lose(scene, -Infinity)
  }
  return { what: `killed ${name}; it comes back empty`, heal }
}

const pause: Fault = async (scene) => {
  const [master, name] = await anyMaster(scene)
  const pausedMs = performance.now()
  master.pause()
  const heal = () => {
    master.resume()
    lose(scene, pausedMs - BEHIND_MS)
  }
  return { what: `paused ${name}`, heal }
}

const failOver: Fault = async (scene) => {
  const [master, name] = await anyMaster(scene)
  const startedMs = performance.now()
  await scene.deployment.failOver(master)
  const heal = async () => {
    // Until then what the old master is told is lost.
    await waitFor(async () => !(await scene.deployment.masters()).includes(master), {
      what: `${name} to be none any more`,
      deadlineMs: FAILOVER_MS
    })
    lose(scene, startedMs - BEHIND_MS)
  }
  return { what: `failover of ${name}`, heal }
}

const flush: Fault = async (scene) => {
  const masters = await scene.deployment.masters()
  const some = scene.dice.happens(0.5) ? masters : [scene.dice.of(masters)]
  for (const master of some) await master.cli('FLUSHALL')
  lose(scene, -Infinity)
  return { what: `FLUSHALL on ${some.length} of ${masters.length} masters`, heal: nothing }
}

const restoreOld: Fault = async (scene) => {
  const [master, name] = await anyMaster(scene)
  await master.cli('SAVE')
  const savedMs = performance.now()
  const ageMs = scene.dice.between(300, 5000)
  await sleep(ageMs)
  await master.kill()
  await master.restart({ keepData: true })
  lose(scene, savedMs)
  return { what: `${name} restarted with a file ${ageMs} ms old`, heal: nothing }
}

const setClock: Fault = async (scene) => {
  const { deployment: { setClock: set }, dice } = scene
  const seconds = dice.of([-3600, -60, -5, 5, 60, 3600])
  const step = { fromMs: performance.now(), untilMs: Infinity, byMs: seconds * 1000 }
  scene.world.steps.push(step)
  set(seconds)
  lose(scene, -Infinity)
  const heal = () => {
    set(0)
    lose(scene, -Infinity)
    step.untilMs = performance.now() + NOTICED_MS
  }
  return { what: `the clock set by ${seconds} s, and back`, heal }
}

/** Removes one key of a session that is up: a record, a member or a holder. */
const evict: Fault = async ({ deployment, dice, world, up }) => {
  const some = dice.some(up(), 3)
  const masters = await deployment.masters()
  for (const { id, username } of some) {
    const tagged = deployment.unserve === undefined ? username : `{${username}}`
    const ofRecord = deployment.unserve === undefined ? id : `${tagged}:${id}`
    const words = dice.of([
      ['DEL', `${PREFIX}session-lease:${ofRecord}`],
      ['ZREM', `${PREFIX}user-leases:${tagged}`, id],
      ['DEL', `${PREFIX}session-holder:${id}`]
    ])
    world.evicted.set(id, performance.now())
    // In a Cluster only one master takes it.
    for (const master of masters) await runCli(master, words).catch(nothing)
  }
  return { what: `evicted a key of ${some.map(({ id }) => id).join() || 'nobody'}`, heal: nothing }
}

const unserve: Fault = async ({ deployment, dice, up }) => {
  const [call] = dice.some(up(), 1)
  const heal = call && (await deployment.unserve?.(call.username))
  return { what: `the slot of ${call?.username} not served`, heal: heal ?? nothing }
}

const pauseService: Fault = async ({ replicas, dice }) => {
  const replica = dice.of(replicas)
  replica.pause()
  return { what: `paused ${replica.process}`, heal: () => replica.resume() }
}

const killService: Fault = async ({ replicas, dice, world }) => {
  const replica = dice.of(replicas)
  const { process } = replica
  world.killed.add(process)
  await replica.kill()
  return { what: `killed ${process}`, heal: async () => await replica.restart() }
}

/** What can happen to a deployment; what is named twice happens more often. */
export function faultsOf ({ unserve: canUnserve }: Deployment): Fault[] {
  const faults = [
    cut, cut, delay, kill, pause, failOver, flush, restoreOld, setClock, evict, pauseService,
    killService
  ]
  return canUnserve === undefined ? faults : [...faults, unserve]
}

/** What can happen while another fault lasts: nothing that asks the servers. */
export const BESIDE: Fault[] = [cut, delay, pauseService, killService]
