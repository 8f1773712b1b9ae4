/** Health on the wire: the state of the service and of what it depends on. */
import { Type, type Static } from '@sinclair/typebox'
import { nullable, stringEnum } from './names.ts'

export const ComponentHealthSchema = Type.Object(
  {
    status: stringEnum(['up', 'partial', 'down', 'disabled'], {
      description:
        '`partial`: it serves, but not everything. A part of a Redis Cluster is out, or some ' +
        'commands were refused a moment ago: some callers get `degraded: true` or 503.'
    }),
    latency_ms: nullable(Type.Number(), {
      description: 'How long the last check took. Null when there was none.',
      examples: [0.4]
    })
  },
  { $id: 'ComponentHealth' }
)

export const HealthSchema = Type.Object(
  {
    status: stringEnum(['ok', 'degraded', 'down']),
    components: Type.Object({
      redis: Type.Ref('ComponentHealth#'),
      etcd: Type.Ref('ComponentHealth#')
    }),
    policy: stringEnum(['current', 'stale', 'invalid'], {
      description:
        '`current`: the policy in force is the stored one. `stale`: its store is away, and the ' +
        'last policy read is in force. `invalid`: the stored policy is not valid, and the last ' +
        'valid one is in force.'
    }),
    sessions: stringEnum(['known', 'learning'], {
      description:
        '`known`: the counts are complete. `learning`: Redis lost its data a short time ago, and ' +
        'some calls that are up may not have been renewed yet.'
    }),
    warnings: Type.Array(Type.String(), {
      description:
        'What an operator has to mend, in words that name the remedy. Empty when there is nothing.',
      examples: [['Redis may drop data: set maxmemory-policy to noeviction.']]
    })
  },
  { $id: 'Health' }
)

export const LivenessSchema = Type.Object({ status: stringEnum(['ok']) }, { $id: 'Liveness' })

export type ComponentHealth = Static<typeof ComponentHealthSchema>
export interface Health {
  status: 'ok' | 'degraded' | 'down'
  components: { redis: ComponentHealth; etcd: ComponentHealth }
}
