/** Every comparison, in the order they run and are reported. */
import type { Comparison } from '../bench.ts'
import acquireScript from './acquire-script.ts'
import admissionScale from './admission-scale.ts'
import admission from './admission.ts'
import limitsList from './limits-list.ts'
import limitsRead from './limits-read.ts'
import memory from './memory.ts'
import nodeReport from './node-report.ts'

export const COMPARISONS: Comparison[] = [limitsRead, limitsList, admission, acquireScript, nodeReport, admissionScale, memory]
