/** What probes and people are told of the service and of what it depends on. */
import { Type, type Static } from '@sinclair/typebox'
import { stringEnum } from './names.ts'

export const ComponentHealthSchema = Type.Object({
  status: stringEnum(['up', 'down', 'disabled']),
  latency_ms: Type.Union([Type.Number(), Type.Null()], { description: 'Of the last check; null when there is none.' })
}, { $id: 'ComponentHealth' })

export const HealthSchema = Type.Object({
  status: stringEnum(['ok', 'degraded', 'down']),
  components: Type.Object({ redis: Type.Ref('ComponentHealth#'), etcd: Type.Ref('ComponentHealth#') })
}, { $id: 'Health' })

export const LivenessSchema = Type.Object({ status: stringEnum(['ok']) }, { $id: 'Liveness' })

export type ComponentHealth = Static<typeof ComponentHealthSchema>
export interface Health { status: 'ok' | 'degraded' | 'down', components: { redis: ComponentHealth, etcd: ComponentHealth } }
