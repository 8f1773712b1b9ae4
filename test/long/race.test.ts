import t from 'tap'
import { runRace } from '../race/run-race.ts'

t.test(
  'many clients race for few slots on four instances',
  async (t) => await runRace(t, 1_000_000)
)
