import type { Mutant } from './acquire-mutants.ts'

/** Mistakes in the script that ends sessions. */
export const release: Mutant[] = [
  [
    'the id is not remembered',
    "call('SET', record_key, ended_record, 'PX', ms)",
    ''
  ],
  ['the id is remembered for ever', "ended_record, 'PX', ms)", 'ended_record)'],
  [
    'the attempt is not remembered',
    "local digits = ended_attempt > 0 and string.format('%d', ended_attempt) or ''",
    "local digits = ''"
  ],
  [
    'the attempt of the lease is not remembered',
    'math.max(attempt or 0, live_attempt), for_node,',
    'attempt or 0, for_node,'
  ],
  [
    'the attempt that has ended is not remembered',
    'math.max(attempt or 0, live_attempt), for_node,',
    'live_attempt, for_node,'
  ],
  [
    'an unknown id is not remembered',
    'local left_ms = ends and ends - now or 0',
    'if not was_up then return { UNKNOWN } end\n' +
      'local left_ms = ends and ends - now or 0'
  ],
  [
    'the end of a later attempt is not remembered',
    'if (is_later and of_node == bound_to or is_wider) and not lapses then',
    'if is_wider then'
  ],
  [
    'an end for one node stays one',
    'or is_wider) and',
    ') and'
  ],
  [
    'a bound caller ends later attempts of all nodes',
    'is_later and of_node == bound_to or',
    'is_later or'
  ],
  [
    'the end of a later attempt shortens the memory',
    "math.max(call('PTTL', record_key), tonumber(ended_ttl_ms))",
    'tonumber(ended_ttl_ms)'
  ],
  [
    'the end of an earlier attempt lowers the one that is remembered',
    'local last_attempt = math.max(attempt or 0, tonumber(ended_attempt) or 0)',
    'local last_attempt = attempt or 0'
  ],
  [
    'an earlier attempt ends a live one',
    'if holder and attempt and attempt < live_attempt then return { UNMET } end',
    ''
  ],
  [
    'the live attempt is not ended',
    'if holder and attempt and attempt < live_attempt then',
    'if holder and attempt and attempt <= live_attempt then'
  ],
  [
    'the expired lease of another user has a say',
    "if user ~= '' then holder, node = nil, nil end",
    ''
  ],
  [
    'emergency sessions are not spared',
    "if spares_emergency and urgent == '!' then return { SPARED } end",
    ''
  ],
  [
    'all sessions are spared',
    "if spares_emergency and urgent == '!' then",
    'if spares_emergency then'
  ],
  [
    'the id is forgotten before its lease ends',
    'unknown_ttl_ms, left_ms)',
    'unknown_ttl_ms, 0)'
  ],
  ['the slot is kept', "pcall('ZREM', leases_key, id)\nif node", 'if node'],
  [
    'the slot of an id that had ended is kept',
    "if is_own then pcall('ZREM', leases_key, id) end",
    ''
  ],
  [
    'the slot of an id that another user had is given back',
    "(whose == '' or whose == user)",
    'true'
  ],
  [
    'a caller without a node leaves the slot of an id that a bound one ended',
    "of_node == '' or bound_to == ''",
    "of_node == ''"
  ],
  [
    'a bound caller gives back a slot of which nobody knows the node',
    "of_node == '' or bound_to == ''",
    'true'
  ],
  [
    'nobody is told of the slot of an id that had ended',
    "if ends then return { RELEASED, '', ends - now } end",
    ''
  ],
  [
    'any user may release',
    'if holder and (holder ~= user or is_foreign) then',
    'if is_foreign then'
  ],
  [
    'a bound caller releases sessions of other nodes',
    "local is_foreign = holder and bound_to ~= '' and node ~= bound_to",
    'local is_foreign = false'
  ],
  ['a bound caller ends what lapsed', 'if is_foreign then return { UNKNOWN } end', ''],
  [
    'a bound caller ends unknown ids for all nodes',
    "local for_node = holder and '' or bound_to",
    "local for_node = ''"
  ],
  [
    'an expired id of another user is never free',
    '> tonumber(record_grace_ms) then',
    '> 0 then'
  ],
  ['external sessions stay', "pcall('SREM', external_key, id)", '0'],
  ['the node keeps the session', 'leave_node(node_leases_prefix, node, holder, id)', ''],
  ['unknown ids are released', 'was_up and RELEASED or UNKNOWN', 'RELEASED'],
  ['what lapses has ended', 'if lapses then\n  if holder', 'if false then\n  if holder'],
  [
    'what lapses is remembered for as long as its lease',
    "if holder then call('PEXPIRE', record_key, record_grace_ms) end",
    ''
  ],
  ['an expired lease is live', 'if ends and ends > now then', 'if ends then'],
  [
    'a node releases young sessions',
    'if is_younger and is_other then return { UNMET } end',
    ''
  ],
  [
    'a node releases sessions that have moved',
    "if only_node ~= '' and node ~= only_node then return { UNMET } end",
    ''
  ]
]
