/** Every comparison, in the order they run and are reported. */
import type { Comparison } from '../bench.ts'
import acquireScript from './acquire-script.ts'
import admissionScale from './admission-scale.ts'
import admission from './admission.ts'
import limitsList from './limits-list.ts'
import limitsRead from './limits-read.ts'
import memory from './memory.ts'
import nodeReport from './node-report.ts'
import renewal from './renewal.ts'

export const COMPARISONS: Comparison[] = [
  limitsRead, admission, renewal, acquireScript, limitsList, nodeReport, admissionScale, memory
]
