/** What probes and people are told of the service and of what it depends on. */
import { Type, type Static } from '@sinclair/typebox'
import { stringEnum } from './names.ts'

export const ComponentHealthSchema = Type.Object(
  {
    status: stringEnum(['up', 'down', 'disabled']),
    latency_ms: Type.Union([Type.Number(), Type.Null()], {
      description: 'Of the last check; null when there is none.',
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
        'Whether the policy in force is the stored one, the last one read before its store went away, ' +
        'or the last one that could be used.'
    }),
    sessions: stringEnum(['known', 'learning'], {
      description:
        'Whether all calls that are up are known, or Redis began anew so short a time ago that some may not have been renewed yet.'
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
