import fc from 'fast-check'
import type { PolicyChange } from '../../schemas/policy.ts'
import type { Details } from '../../services/sessions/lease.ts'

/** Few of each, so that commands meet. */
export const USERS = ['ann', 'bob', 'cid']
export const IDS = Array.from({ length: 12 }, (_, i) => `s${i}`)
export const NODES = ['n1', 'n2']

/**
 * Time goes by in steps, and leases end half way between two steps: on a store whose own clock runs
 * on, nothing is decided by the time that the test itself takes. See `redis-subject.ts`.
 */
export const STEP_MS = 32_000
export const GRID_MS = STEP_MS / 2

/** A session that somebody says something of. */
export interface Named {
  user: string
  id: string
}

/** A session that somebody says is up. */
export interface RenewItem extends Named {
  node?: string | undefined
  attempt?: number | undefined
}

/** One thing that is done to a store. Plain data, so that a sequence prints as what it is. */
export type Command =
  | (Named & {
    do: 'acquire'
    attempt: number
    ttlMs: number
    node: string | undefined
    details: Details
    dryRun: boolean
  })
  | { do: 'renew'; ttlMs: number; items: RenewItem[] }
  | { do: 'release'; id: string; user: string | undefined; attempt: number | undefined }
  | { do: 'limit'; user: string; limit: number | null }
  | { do: 'temporary'; user: string; limit: number; seconds: number }
  | { do: 'end temporary'; user: string }
  | { do: 'bar'; user: string; seconds: number | null }
  | { do: 'end bar'; user: string }
  | { do: 'policy'; change: PolicyChange }
  | {
    do: 'reconcile'
    node: string
    epoch: number
    ttlMs: number
    items: Named[]
    asOfAgoMs: number | null
  }
  | { do: 'terminate'; user: string; includeEmergency: boolean }
  | { do: 'wait'; ms: number }

const user = fc.constantFrom(...USERS)
const id = fc.constantFrom(...IDS)
const node = fc.constantFrom(...NODES)
const maybeNode = fc.constantFrom(...NODES, undefined)
const named = fc.record({ user, id })
/** 48 s, 80 s, and 7216 s: longer than an ended id is remembered. */
const ttlMs = fc.constantFrom(3 * GRID_MS, 3 * GRID_MS, 5 * GRID_MS, 451 * GRID_MS)
const action = fc.constantFrom(
  'reject',
  'reject',
  'terminate_oldest',
  'terminate_oldest',
  'observe'
)
const rarely = fc.nat(7).map((n) => n === 7)
const details = fc.record(
  {
    emergency: rarely,
    from: fc.constantFrom('sip:a@example.net', 'with "quotes" and spaces'),
    direction: fc.constantFrom('inbound' as const, 'outbound' as const),
    metadata: fc.constantFrom({ trunk: 'a', n: 1 }, {})
  },
  { requiredKeys: [] }
)

/** Most calls have one attempt; ten is written with two digits. */
const attempt = fc.constantFrom(0, 0, 0, 1, 2, 10)
const maybeAttempt = fc.oneof(fc.constant(undefined), attempt)
const item = fc.record({ user, id, node: maybeNode, attempt: maybeAttempt })

const acquire = fc.record({
  do: fc.constant('acquire'),
  user,
  id,
  attempt,
  ttlMs,
  node: maybeNode,
  details,
  dryRun: rarely
})
const renew = fc.record({
  do: fc.constant('renew'),
  ttlMs,
  items: fc.oneof(fc.tuple(item), fc.tuple(item), fc.array(item, { maxLength: 5 }))
})
const release = fc.record({
  do: fc.constant('release'),
  id,
  user: fc.constantFrom(...USERS, undefined),
  attempt: maybeAttempt
})
const limit = fc.record({
  do: fc.constant('limit'),
  user,
  limit: fc.constantFrom(0, 1, 2, 3, 4, null)
})
const temporary = fc.record({
  do: fc.constant('temporary'),
  user,
  limit: fc.nat(4),
  seconds: fc.constantFrom(48, 80)
})
const endTemporary = fc.record({ do: fc.constant('end temporary'), user })
const bar = fc.record({
  do: fc.constant('bar'),
  user,
  seconds: fc.constantFrom(48, 80, null)
})
const endBar = fc.record({ do: fc.constant('end bar'), user })
const policy = fc.record({
  do: fc.constant('policy'),
  change: fc.record(
    {
      enabled: fc.nat(4).map((n) => n > 0),
      max_sessions_per_user: fc.nat(3),
      session_limit_action: action
    },
    { requiredKeys: [] }
  )
})
const reconcile = fc.record({
  do: fc.constant('reconcile'),
  node,
  epoch: fc.integer({ min: 1, max: 3 }),
  ttlMs,
  items: fc.uniqueArray(named, { maxLength: 5, selector: ({ id }) => id }),
  asOfAgoMs: fc.constantFrom(GRID_MS, null, null)
})
const terminate = fc.record({
  do: fc.constant('terminate'),
  user,
  includeEmergency: rarely
})

const steps = fc
  .oneof(
    { arbitrary: fc.integer({ min: 1, max: 4 }), weight: 8 },
    { arbitrary: fc.constantFrom(113, 226), weight: 1 }
  )
  .map((n) => n * STEP_MS)
/** The very edges: leases and memories end at the millisecond on a clock that stands still. */
const edges = fc.constantFrom(1, GRID_MS, 3 * GRID_MS - 1, 3 * GRID_MS, 60_000, 60_001, 3_600_000)

function sequence (waitMs: fc.Arbitrary<number>): fc.Arbitrary<Command[]> {
  const wait = fc.record({ do: fc.constant('wait'), ms: waitMs })
  const weights: Array<[number, fc.Arbitrary<object>]> = [
    [30, acquire],
    [12, renew],
    [8, release],
    [5, limit],
    [3, temporary],
    [1, endTemporary],
    [1, bar],
    [2, endBar],
    [5, policy],
    [4, reconcile],
    [2, terminate],
    [10, wait]
  ]
  const command = fc.oneof(
    ...weights.map(([weight, arbitrary]) => ({ weight, arbitrary }))
  ) as fc.Arbitrary<Command>
  return fc.array(command, { minLength: 1, maxLength: 24, size: 'max' })
}

/** Sequences in which time goes by in whole steps. */
export const inSteps = sequence(steps)

/** Sequences for a clock that stands still between commands: times meet to the millisecond. */
export const toTheMillisecond = sequence(fc.oneof(steps, edges))
