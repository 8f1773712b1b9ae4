import t from 'tap'
import { checkStores } from './check-stores.ts'

await checkStores(t, { memory: 10_000, redis: 10_000 }, { memory: 30, redis: 100 })
