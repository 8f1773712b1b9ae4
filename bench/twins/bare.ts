/** The bare twin, the yardstick: every handler answers a constant at once. */
import { CONSTANT_HANDLERS } from './answers.ts'
import { startTwin } from './build-twin.ts'

await startTwin(CONSTANT_HANDLERS)
