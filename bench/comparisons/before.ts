/**
 * Whether an admission has become dearer: the CPU time of this tree and of an earlier commit, both
 * against the bare twin and against each other. All three start anew in each round, so that what a
 * process happens to get (its place in memory, what the compiler makes of it) is part of the
 * interval, too.
 */
import type { Bench, Comparison } from '../bench.ts'
import type { Figure } from '../figure.ts'
import { httpCpu, redisCpu } from '../harness/against-twin.ts'
import { buildCommit } from '../harness/build-commit.ts'
import { ratio } from '../harness/estimate.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { load, type Load } from '../harness/load.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { both, noSamples, takeTurns, type Samples } from '../harness/rounds.ts'
import { ADMISSIONS, warmUp } from '../harness/sessions.ts'

const ROUNDS = 20
/** Admissions before the measured ones: a process that has just started is slow. */
const [FIRST, FIRST_QUICK] = [20_000, 5_000]

/**
 * What counts as no dearer. Equal costs give an interval around 1, so that "at most 1" could never
 * be shown; a hundredth and a half either way is what was known of the ratio before: 1.13 to 1.15.
 */
const NO_DEARER = { atMost: 1.02 }

type Side = 'now' | 'before' | 'twin'

/** The name of this comparison, which runs only where a commit is named. */
export const BEFORE = 'before'

/** Compares this tree with a commit, named as git does. */
export function compareWith (commit: string): Comparison {
  return {
    name: BEFORE,
    title: `CPU of an admission: this tree, commit ${commit} and the bare twin`,
    run: async (bench) => {
      const script = buildCommit(commit)
      const redises = { now: await bench.redis(), before: await bench.redis() }
      const samples = noSamples<Side, Load>(['now', 'before', 'twin'])
      const rounds = bench.quick ? bench.pace.rounds : ROUNDS
      for (let round = 0; round < rounds; round++) {
        await oneRound(bench, script, redises, round, samples)
      }
      return figures(commit, samples)
    }
  }
}

async function oneRound (
  bench: Bench,
  script: string,
  redises: Record<'now' | 'before', BenchRedis>,
  round: number,
  samples: Samples<Side, Load>
): Promise<void> {
  await Promise.all(Object.values(redises).map(async (redis) => await redis.empty()))
  const [now, before, twin] = await Promise.all([
    bench.service(redises.now),
    bench.service(redises.before, { script }),
    bench.twin()
  ])
  const admissions = async ({ port, pid }: HttpServer, redis?: BenchRedis) =>
    await load({
      ...ADMISSIONS,
      ...bench.pace,
      port,
      pids: { http: pid, ...(redis && { redis: redis.pid }) }
    })
  const sides = {
    now: async () => await admissions(now, redises.now),
    before: async () => await admissions(before, redises.before),
    twin: async () => await admissions(twin)
  }
  for (const server of [now, before, twin]) {
    await warmUp(server, bench.quick ? FIRST_QUICK : FIRST)
  }
  await takeTurns(round, sides, samples)
  await Promise.all([now, before, twin].map(async (server) => await server.stop()))
}

function figures (commit: string, { now, before, twin }: Samples<Side, Load>): Figure[] {
  const against = (of: (sample: Load) => number, a: Load[], b: Load[]) => ({
    measured: ratio(a.map(of), b.map(of)),
    note: `${both(a, b, of, 1)} µs`
  })
  return [
    { what: `this tree : ${commit}`, ...against(httpCpu, now, before), goal: NO_DEARER },
    // The twin is of this tree, too, and gets cheaper with what both share: two figures to compare.
    { what: 'this tree : bare twin', ...against(httpCpu, now, twin) },
    { what: `${commit} : bare twin`, ...against(httpCpu, before, twin) },
    {
      what: `CPU of Redis, this tree : ${commit}`,
      ...against(redisCpu, now, before),
      goal: NO_DEARER
    }
  ]
}
