import type { Test } from 'tap'
import type { PolicyChange } from '../../schemas/policy.ts'
import type { PolicyCache } from '../../services/policy/policy.ts'
import type { SessionStore, WholeLimitsStore } from '../helpers/one-store.ts'

/** A session store under test, what it depends on, and its clock. */
export interface Twin {
  sessions: SessionStore
  limits: WholeLimitsStore
  policy: PolicyCache
  /** Whether the users of one store may lie on different servers. */
  partitioned: boolean
  /** The time by the store's clock, in milliseconds. */
  now(): Promise<number>
  /** Lets so many milliseconds go by. */
  pass(ms: number): Promise<void>
  /** Makes what is remembered of a session id so many milliseconds older. */
  age(sessionId: string, ms: number): Promise<void>
}

/** Makes a new, empty store. Policy: 5 sessions per user, reject, unless changed. */
export type Start = (change?: PolicyChange) => Promise<Twin>

/** The checks that a promise makes; those of a tap test, or of a runner that throws. */
export type Assertions = Pick<
  Test,
  'equal' | 'fail' | 'match' | 'notOk' | 'ok' | 'pass' | 'rejects' | 'strictSame'
>

/** What every store promises: each promise, and how it is shown on new stores. */
export type Contract = Record<string, (t: Assertions, start: Start) => Promise<unknown>>

/** Runs a contract as tap tests, one a promise. */
export async function runContract (t: Test, contract: Contract, start: Start): Promise<void> {
  for (const [promise, show] of Object.entries(contract)) {
    await t.test(promise, async (t) => {
      await show(t, start)
    })
  }
}
