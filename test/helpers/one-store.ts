import type { LimitLists, LimitsStore } from '../../services/limits/limits-store.ts'
import type { SessionReader, SessionVerbs } from '../../services/sessions/session-store.ts'
import type { SessionLists, Sweeper } from '../../services/sessions/session-lists.ts'

/** All that a store of sessions does. The service needs it in parts, a contract as a whole. */
export type SessionStore = SessionVerbs & SessionReader & SessionLists & Sweeper
/** The same for limits. */
export type WholeLimitsStore = LimitsStore & LimitLists

/** What a backend's stores are, in parts. */
interface Parts<S> {
  sessions: S
  sessionLists: SessionLists
  sweeper: Sweeper
  limits: LimitsStore
  limitLists: LimitLists
}

/** A backend's stores, each in one piece. */
export function wholeStores<S extends SessionVerbs & SessionReader> (parts: Parts<S>) {
  return {
    sessions: inOne(parts.sessions, parts.sessionLists, parts.sweeper),
    limits: inOne(parts.limits, parts.limitLists, parts.limitLists)
  }
}

/** One object that has what the first of some objects has that has it. */
export function inOne<A extends object, B extends object, C extends object> (
  first: A,
  second: B,
  third: C
): A & B & C {
  const parts = [first, second, third]
  const ownerOf = (name: string | symbol) => parts.find((part) => name in part) ?? first
  return new Proxy(first, {
    get: (_target, name) => {
      const owner = ownerOf(name)
      const value: unknown = Reflect.get(owner, name, owner)
      return typeof value === 'function' ? value.bind(owner) : value
    },
    set: (_target, name, value) => Reflect.set(ownerOf(name), name, value, ownerOf(name))
  }) as A & B & C
}
