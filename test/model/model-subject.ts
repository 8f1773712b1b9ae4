import { PolicyCache } from '../../services/policy/policy.ts'
import type { LimitsStore } from '../../services/limits/limits-store.ts'
import type { Lease } from '../../services/sessions/lease.ts'
import type { RenewRequest } from '../../services/sessions/session-store.ts'
import type { SessionStore } from '../helpers/one-store.ts'
import { type Call, Model } from './model.ts'
import type { Subject } from './subject.ts'

/** The model as a store, so that the checks of stores are also checks of the model. */
export function modelSubject (): Subject {
  const model = new Model()
  const policy = new PolicyCache(
    {
      read: async () => model.policy,
      update: async (change) => {
        model.policy = { ...model.policy, ...change }
        return model.policy
      }
    },
    model.policy
  )
  return {
    sessions: sessionsOf(model) as unknown as SessionStore,
    limits: limitsOf(model) as unknown as LimitsStore,
    policy,
    pass: async (ms) => {
      model.now += ms
    },
    sinceStart: (ms) => ms,
    storeTime: (ms) => ms,
    driftMs: 0
  }
}

function sessionsOf (model: Model): Partial<Record<keyof SessionStore, unknown>> {
  const verbs: Pick<
    SessionStore,
    'acquire' | 'renew' | 'release' | 'reconcileNode' | 'terminateUser'
  > = {
    acquire: async ({ username: user, sessionId: id, attempt, ttlMs, node, details, dryRun }) =>
      answered(model.acquire({ do: 'acquire', user, id, attempt, ttlMs, node, details, dryRun })),
    renew: async (requests, ttlMs) =>
      answered(model.renew({ items: requests.map(named), ttlMs })),
    release: async ({ sessionId: id, username: user, attempt }) =>
      answered(model.release({ do: 'release', id, user, attempt })),
    reconcileNode: async ({ node, epoch, ttlMs, sessions, asOfMs }) => {
      const asOfAgoMs = asOfMs === Number.MAX_SAFE_INTEGER ? null : model.now - asOfMs
      const items = sessions.map(named)
      return answered(
        model.reconcile({ do: 'reconcile', node, epoch, ttlMs, items, asOfAgoMs })
      )
    },
    terminateUser: async (user, _reason, includeEmergency) =>
      model.terminate({ do: 'terminate', user, includeEmergency })
  }
  return {
    ...verbs,
    getCount: async (user: string) => model.countOf(user),
    listSessions: async ({ username }: { username?: string }) => ({
      entries: model.up(username).map(leaseOf)
    }),
    listNodes: async () => ({ entries: model.nodes() }),
    getSession: async (id: string) => {
      const call = model.up().find((one) => one.id === id)
      return call === undefined ? null : leaseOf(call)
    }
  }
}

function limitsOf (model: Model): Partial<LimitsStore> {
  return {
    setLimit: async (user, limit) => {
      model.setLimit({ do: 'limit', user, limit })
    },
    removeLimit: async (user) => model.setLimit({ do: 'limit', user, limit: null }) ?? false,
    setTemporaryLimit: async (user, { limit, duration: seconds }) =>
      model.setTemporary({ do: 'temporary', user, limit, seconds }),
    setBar: async (user, { expiresMs }) => {
      const seconds = expiresMs === undefined ? null : (expiresMs - model.now) / 1000
      return model.setBar({ do: 'bar', user, seconds })
    },
    removeBar: async (user) => model.endBar({ do: 'end bar', user })
  }
}

/** What the model answers has the members that a store's answer has. */
function answered<T> (answer: unknown): T {
  return answer as T
}

function named ({ sessionId: id, username: user, node, attempt }: RenewRequest) {
  return { id, user, node, attempt }
}

function leaseOf ({ id, user, attempt, node, start, until, details }: Call): Lease {
  return {
    sessionId: id,
    username: user,
    attempt,
    node: node ?? '',
    startedMs: start,
    expiresMs: until,
    details
  }
}
