import t from 'tap'
import { checkService } from '../fuzz/check-service.ts'

await checkService(t, 1_000_000, 7200)
