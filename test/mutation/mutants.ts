import type { ScriptName } from '../../services/redis/scripts.ts'
import { type Mutant, acquire } from './acquire-mutants.ts'

const renew: Mutant[] = [
  [
    'ended ids come back',
    'if not holder and string.sub(record, 1, 1) == ENDED_MARK then',
    'if false then'
  ],
  [
    'a late call does not prolong the memory of an ended id',
    "call('PEXPIRE', record_key, ended_ttl_ms, 'GT')",
    ''
  ],
  [
    'a late call shortens the memory of an ended id',
    ", ended_ttl_ms, 'GT')",
    ', ended_ttl_ms)'
  ],
  [
    'the session of another user is taken',
    'elseif holder and holder ~= user and',
    'elseif false and'
  ],
  [
    'an expired id of another user is never free',
    "call('PTTL', record_keys[i]) > tonumber(record_grace_ms)",
    "call('PTTL', record_keys[i]) > 0"
  ],
  [
    'an expired id of another user keeps its start',
    'if holder == user then held_on[i] = node end',
    'held_on[i] = node'
  ],
  [
    'a lease is not prolonged',
    "write('ZADD', leases_key, expires, id)",
    "pcall('ZADD', leases_key, 'NX', expires, id)"
  ],
  ['a record is not prolonged', "call('PEXPIRE', record_key, record_ttl_ms)", ''],
  [
    'the start is forgotten',
    'started, details = known, string.sub(records[i], details_at)',
    'details = string.sub(records[i], details_at)'
  ],
  [
    'the details are forgotten',
    'started, details = known, string.sub(records[i], details_at)',
    'started = known'
  ],
  ['the old node keeps the session', 'leave_node(node_leases_prefix, held_on[i], user, id)', ''],
  [
    'the new node is not told',
    "entry[#entry + 1] = user .. ' ' .. args[at]",
    "entry[#entry + 1] = ' '"
  ],
  ['the node is forgotten', 'elseif holder ~= user then', 'else'],
  [
    'a session that is registered again was known',
    'is_live and added == 0 and RENEWED or REREGISTERED',
    'RENEWED'
  ],
  ['an expired lease is live', 'if ends and ends > now then', 'if ends then'],
  [
    'an expired lease on its node is live',
    "pcall('ZCOUNT', index_key, '-inf', now) == 0",
    'true'
  ],
  [
    'a session that is new to its node is live',
    'unpack(entry)) == 0 and none_expired',
    'unpack(entry)) and none_expired'
  ],
  [
    'only the first of many is renewed',
    'for i = 1, total do\n  local at = FIRST + (i - 1) * each\n  local id,',
    'for i = 1, 1 do\n  local at = FIRST + (i - 1) * each\n  local id,'
  ]
]

const release: Mutant[] = [
  [
    'the id is not remembered',
    "call('SET', record_key, ENDED_MARK .. user .. ' ' .. reason, 'PX', remembered_ms)",
    ''
  ],
  ['the id is remembered for ever', ", 'PX', remembered_ms)", ')'],
  [
    'the id is forgotten before its lease ends',
    'then remembered_ms = ends - now end',
    'then local _ = 0 end'
  ],
  ['the slot is kept', "pcall('ZREM', leases_key, id)", ''],
  ['any user may release', 'if holder and holder ~= user then', 'if false then'],
  [
    'an expired id of another user is never free',
    '> tonumber(record_grace_ms) then return { CONFLICT }',
    '> 0 then return { CONFLICT }'
  ],
  ['external sessions stay', "pcall('SREM', external_key, id)", '0'],
  ['the node keeps the session', 'leave_node(node_leases_prefix, node, user, id)', ''],
  ['unknown ids are released', 'and RELEASED or UNKNOWN', 'and RELEASED or RELEASED'],
  [
    'unknown ids are remembered without being asked',
    'if outcome == UNKNOWN and not remember_unknown then return { UNKNOWN } end',
    ''
  ],
  ['an expired lease is live', 'if ends and ends > now then', 'if ends then'],
  [
    'a node releases young sessions',
    'or tonumber(started) > tonumber(only_started_by_ms)',
    ''
  ],
  ['a node releases sessions that have moved', 'node ~= only_node or', '']
]

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
