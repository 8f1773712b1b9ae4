import type { Mutant } from './acquire-mutants.ts'

/** Mistakes in restore.lua. */
export const restore: Mutant[] = [
  ['an end is not looked for', 'if is_late and (of_node', 'if false and (of_node'],
  ['an end holds for every attempt', 'ended_attempt and attempt <=', 'ended_attempt and 0 <='],
  [
    'an end does not hold for its own attempt',
    'ended_attempt and attempt <=',
    'ended_attempt and attempt <'
  ],
  ["another node's end holds, too", "(of_node == '' or of_node == node)", 'true'],
  ["a node's own end does not hold", "(of_node == '' or of_node == node)", "(of_node == '')"],
  [
    'a member that was left behind stays',
    "if of_node == '' then pcall('ZREM'",
    "if false then pcall('ZREM'"
  ],
  [
    "another user's lease is replaced",
    'if holder and (holder ~= user or is_foreign) then',
    'if false then'
  ],
  [
    "another user's lease that is over holds the id",
    '> tonumber(record_grace_ms) then return CONFLICT',
    '> 0 then return CONFLICT'
  ],
  [
    'a bound caller replaces what is on another node',
    "holder and bound_to ~= '' and held_on ~= bound_to",
    'false'
  ],
  ['a bound caller does not get back its own', 'and held_on ~= bound_to', ''],
  [
    'an earlier attempt replaces a later one',
    'if holder == user and attempt < live_attempt then',
    'if false then'
  ],
  ['the end of all is forgotten', 'return tonumber(started) <= ended_by', 'return false'],
  [
    'the end of all ends what began since',
    'return tonumber(started) <= ended_by',
    'return ended_by > 0'
  ],
  [
    'what became an emergency call in an outage is none afterwards',
    "is_same and (urgent == '!' or not is_urgent)",
    'is_same'
  ],
  [
    'what Redis knows as an emergency call is none afterwards',
    'says_urgent(known) or says_urgent(other)',
    'says_urgent(other)'
  ],
  [
    'an emergency call is marked twice',
    'is_marked and not says_urgent(rest) and mark_urgent(rest)',
    'is_marked and mark_urgent(rest)'
  ],
  ['an emergency session ends with the others', 'is_urgent and all or ordinary', 'ordinary'],
  [
    'the end of all spares emergency sessions for ever',
    'is_urgent and all or ordinary',
    'not is_urgent and ordinary'
  ],
  [
    'an end of all in the future holds',
    'if ended_by > now + CLOCK_ERROR_MS then return false end',
    ''
  ],
  ['every end of all is in the future', 'if ended_by > now + CLOCK_ERROR_MS', 'if ended_by > 0'],
  [
    'the end of all is not noted of a session',
    "call('SET', record_key, ENDED_MARK .. user .. '|'",
    "call('ECHO', ENDED_MARK .. user .. '|'"
  ],
  [
    'a longer lease gets shorter',
    "write('ZADD', leases_key, 'GT', now",
    "write('ZADD', leases_key, now"
  ],
  ['a longer record gets shorter', "record_ttl_ms, 'GT')", 'record_ttl_ms)'],
  [
    'a record with another start lasts as long as the lease that is put back',
    "record_ttl_ms = math.max(record_ttl_ms, call('PTTL', record_key))\n",
    ''
  ],
  ['an end of all is remembered for ever', "' all ended', 'PX', ended_ttl_ms)", "' all ended')"],
  [
    'an end of all is forgotten as early as a record',
    "' all ended', 'PX', ended_ttl_ms)",
    "' all ended', 'PX', record_grace_ms)"
  ],
  ['a lease is not put back', "write('ZADD', leases_key, 'GT', now + left_ms, id)\n", ''],
  [
    'the index of the node lacks it',
    'enter_node(node_leases_prefix, node, user, id, now + left_ms)\n',
    ''
  ],
  [
    'it stays in the index of the node that it has left',
    'leave_node(node_leases_prefix, held_on, user, id)\n    end\n    local new',
    'end\n    local new'
  ],
  [
    'its start is that of its new registration',
    'if tonumber(known_start) < tonumber(started) then started = known_start end',
    'started = known_start'
  ],
  [
    'an earlier start is lost',
    'if tonumber(known_start) < tonumber(started) then started = known_start end',
    ''
  ],
  ['details that are known are lost', 'rest = fuller(string.sub(record, rest_at), rest)', ''],
  [
    'details that are missing stay so',
    'rest = fuller(string.sub(record, rest_at), rest)',
    'rest = string.sub(record, rest_at)'
  ],
  [
    'it goes back to the node that it has left',
    "if is_same and held_on ~= '' and not is_there then node = held_on end",
    ''
  ],
  ['it does not move to another node', "moved == '1' and not", 'false and not'],
  [
    'it moves back to the node that it was on before',
    ' and not (ends and ends >= now + left_ms)',
    ''
  ],
  ['in the index of the node that it left it stays', 'if is_same and held_on ~= node', 'if false'],
  ['an emergency call that is told as another call ends', "or is_same and urgent == '!'", ''],
  [
    'it is put back too late',
    "if deadline ~= '' and now > tonumber(deadline) then",
    'if false then'
  ]
]
