import t from 'tap'
import { checkService } from './check-service.ts'

await checkService(t, 10_000, 120)
