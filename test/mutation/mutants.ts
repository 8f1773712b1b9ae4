import type { ScriptName } from '../../services/redis/scripts.ts'
import { type Mutant, acquire } from './acquire-mutants.ts'
import { release } from './release-mutants.ts'
import { renew } from './renew-mutants.ts'

const count: Mutant[] = [
  ['expired leases count', "'(' .. now, '+inf'", "'-inf', '+inf'"],
  ['external sessions do not count', '{ leases, external,', '{ leases, 0,'],
  [
    'external sessions that are leases count twice',
    'external = external - 1',
    'external = external'
  ],
  ['temporary limits do not count', "limits[2] or ''", "''"],
  ['own limits do not count', "limits[1] or ''", "''"]
]

const purge: Mutant[] = [
  ['nothing goes', "'-inf', now", "'-inf', '-inf'"],
  ['everything goes', "'-inf', now", "'-inf', '+inf'"],
  ['nodes keep what has expired', 'leave_node(node_leases_prefix, node, user, id)', '']
]

const reportNode: Mutant[] = [
  ['lower epochs are taken', 'tonumber(last_epoch) > tonumber(epoch)', 'false'],
  [
    'higher epochs are refused',
    'tonumber(last_epoch) > tonumber(epoch)',
    'tonumber(last_epoch) < tonumber(epoch)'
  ],
  [
    'the same epoch is refused',
    'tonumber(last_epoch) > tonumber(epoch)',
    'tonumber(last_epoch) >= tonumber(epoch)'
  ]
]

const sweepGhosts: Mutant[] = [
  ['sessions that are up go', '== 0 then ghosts', '== 1 then ghosts'],
  ['all sessions go', "redis.call('EXISTS', keys[i + 1]) == 0", 'true']
]

const setTemporaryLimit: Mutant[] = [
  ['the limit never expires', ", 'PX', duration_ms)", ')'],
  ['another limit is stored', 'local value = limit', "local value = '1'"]
]

const updatePolicy: Mutant[] = [
  ['a key of another type stays', "redis.call('DEL', key)", "redis.call('EXISTS', key)"]
]

/**
 * Mistakes in each script, its shared pieces included. Each changes what the script does, and a
 * check must see it.
 */
export const mutants: Partial<Record<ScriptName, Mutant[]>> = {
  acquire,
  renew,
  release,
  count,
  purge,
  reportNode,
  sweepGhosts,
  setTemporaryLimit,
  updatePolicy
}
