/** A million random requests, and what they cost others: the bounds of security.md. */
import t from 'tap'
import { checkService } from '../fuzz/check-service.ts'

await checkService(t, 1_000_000, 7200, { turnMs: 50, redisMs: 20, rssMiB: 768 })
