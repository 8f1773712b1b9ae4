import t from 'tap'
import { checkStores } from '../model/check-stores.ts'

await checkStores(t, { memory: 1_000_000, redis: 1_000_000 }, { memory: 3600, redis: 7200 })
