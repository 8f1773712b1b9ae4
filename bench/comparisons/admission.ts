/**
 * Admissions and releases through HTTP, against the bare twin. An admission is a POST that takes a
 * slot (201): it is measured alone, each for a user of its own, and so is the release of what was
 * taken. Both in turn on each connection, as a switch with short calls would ask, are shown for
 * information.
 */
import type { Comparison } from '../bench.ts'
import { againstTwin, besideTwin, twinFigures } from '../harness/against-twin.ts'
import type { Load } from '../harness/load.ts'
import type { Pairs } from '../harness/interleave.ts'
import { TAKE_AND_RELEASE, admitThenRelease } from '../harness/sessions.ts'

export default {
  name: 'admission',
  title: 'POST and DELETE /api/sessions, on Redis : bare twin',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const pairs = await besideTwin(
      bench,
      service,
      redis,
      async (server) => await admitThenRelease(bench, server)
    )
    const kind = (of: (both: { admission: Load; release: Load }) => Load): Pairs<Load> => ({
      a: pairs.a.map(of),
      b: pairs.b.map(of)
    })
    const inTurn = await againstTwin(bench, service, redis, TAKE_AND_RELEASE, {})
    return [
      ...twinFigures(
        kind(({ admission }) => admission),
        { rate: 0.95, cpu: 1.08 },
        'admission: '
      ),
      ...twinFigures(
        kind(({ release }) => release),
        {},
        'release: '
      ),
      ...inTurn.map((figure) => ({ ...figure, what: `in turn: ${figure.what}` }))
    ]
  }
} satisfies Comparison
