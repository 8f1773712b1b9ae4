/**
 * Admissions and releases through HTTP, against the bare twin. An admission is a POST that takes a
 * slot (201): it is measured by itself, each for another user, and so is the release of what was
 * taken. Both in turn on each connection, as from a switch with short calls, are information.
 */
import type { Comparison } from '../bench.ts'
import { againstTwin, besideTwin, twinFigures } from '../harness/against-twin.ts'
import type { Load } from '../harness/load.ts'
import { TAKE_AND_RELEASE, admitThenRelease } from '../harness/sessions.ts'

export default {
  name: 'admission',
  title: 'POST and DELETE /api/sessions, on Redis : bare twin',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const measured = await besideTwin(
      bench,
      service,
      redis,
      async (target) => await admitThenRelease(bench, target)
    )
    const only = (of: (both: { admission: Load; release: Load }) => Load) => ({
      service: measured.service.map(of),
      twin: measured.twin.map(of)
    })
    const goals = { rate: { atLeast: 0.95 }, cpu: { atMost: 1.08 } }
    const inTurn = await againstTwin(bench, service, redis, TAKE_AND_RELEASE)
    return [
      ...twinFigures(only((both) => both.admission), goals, 'admission: '),
      ...twinFigures(only((both) => both.release), {}, 'release: '),
      ...inTurn.map((figure) => ({ ...figure, what: `in turn: ${figure.what}` }))
    ]
  }
} satisfies Comparison
