/** Every comparison, in the order they run and are reported. */
import type { Comparison } from '../bench.ts'
import admission from './admission.ts'
import growthKeys from './growth-keys.ts'
import growthSessions from './growth-sessions.ts'
import growthUsers from './growth-users.ts'
import latency from './latency.ts'
import limitsList from './limits-list.ts'
import limitsRead from './limits-read.ts'
import memory from './memory.ts'
import nodeReport from './node-report.ts'
import processes from './processes.ts'
import renewal from './renewal.ts'
import rivals from './rivals.ts'
import scripts from './scripts.ts'
import start from './start.ts'
import stores from './stores.ts'

export const COMPARISONS: Comparison[] = [
  limitsRead,
  admission,
  renewal,
  latency,
  scripts,
  rivals,
  processes,
  stores,
  growthUsers,
  growthSessions,
  growthKeys,
  limitsList,
  nodeReport,
  memory,
  start
]
