import type { Mutant } from './acquire-mutants.ts'

/** Mistakes in the script that renews leases. */
export const renew: Mutant[] = [
  [
    'ended ids come back',
    "if is_late and (of_node == '' or of_node == new_node) then",
    'if false then'
  ],
  [
    'an end for one node holds for all',
    "if is_late and (of_node == '' or of_node == new_node) then",
    'if is_late then'
  ],
  [
    'a bound caller renews sessions of other nodes',
    "if holder and bound_to ~= '' and node ~= bound_to then",
    'if false then'
  ],
  [
    'the attempt that has ended comes back',
    'ended_attempt and (attempt or 0) <= (',
    'ended_attempt and (attempt or 0) < ('
  ],
  [
    'a later attempt has ended, too',
    'ended_attempt and (attempt or 0) <= (tonumber(ended_attempt) or 0)',
    'ended_attempt'
  ],
  [
    'an earlier attempt renews a live one',
    'elseif holder == user and attempt and attempt < (',
    'elseif false and attempt < ('
  ],
  [
    'the live attempt is not renewed',
    'elseif holder == user and attempt and attempt < (',
    'elseif holder == user and attempt and attempt <= ('
  ],
  [
    'an earlier attempt prolongs the record of a live one',
    'if outcomes[i] == ENDED and string.sub(records[i], 1, 1) == ENDED_MARK then',
    'if outcomes[i] == ENDED then'
  ],
  ['a later attempt is not seen', 'then raised[i] = attempt end', 'then local _ = 0 end'],
  [
    'a later attempt is not written',
    'if raised[i] then rest = raise_attempt(rest, raised[i]) end',
    ''
  ],
  [
    'a later attempt is not written where the session stays on its node',
    'if stays and not raised[i] and not marked[i] then',
    'if stays and not marked[i] then'
  ],
  [
    'an emergency is not written where the session stays on its node',
    'if stays and not raised[i] and not marked[i] then',
    'if stays and not raised[i] then'
  ],
  [
    'an emergency is not written',
    'if marked[i] then rest = mark_urgent(rest) end',
    ''
  ],
  [
    'a session that is not called an emergency becomes one',
    "urgent ~= '!' and says_urgent(args[at + 2])",
    "urgent ~= '!'"
  ],
  [
    'what an earlier attempt ended is named again',
    "string.gsub(string.gsub(rest, '^%d+', ''), '\\n.*', '')",
    "string.gsub(rest, '^%d+', '')"
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
    "user and call('PTTL', record_keys[i]) > tonumber(record_grace_ms)",
    "user and call('PTTL', record_keys[i]) > 0"
  ],
  [
    'an expired id of another user keeps its start',
    'if holder == user then\n      held_on[i] = node',
    'if holder then\n      held_on[i] = node'
  ],
  [
    'a lease is not prolonged',
    "write('ZADD', leases_key, expires, id)",
    "pcall('ZADD', leases_key, 'NX', expires, id)"
  ],
  ['a record is not prolonged', "call('PEXPIRE', record_key, record_ttl_ms)", ''],
  [
    'the start is forgotten',
    'started, rest = known, string.sub(records[i], rest_at)',
    'rest = string.sub(records[i], rest_at)'
  ],
  [
    'the details are forgotten',
    'started, rest = known, string.sub(records[i], rest_at)',
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
