import t from 'tap'
import { checkService } from './check-service.ts'

t.setTimeout(180_000)

await checkService(t, 10_000, 120)
