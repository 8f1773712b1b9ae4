/** A mistake in a script: the first text is replaced by the second. */
export type Mutant = [mistake: string, text: string, instead: string]

/** Mistakes in the script that decides admissions. */
export const acquire: Mutant[] = [
  ['expired leases count', "'ZCOUNT', leases_key, '(' .. now", "'ZCOUNT', leases_key, '-inf'"],
  ['one too many is admitted', 'after > limit', 'after > limit + 1'],
  ['one too few is admitted', 'after > limit', 'after >= limit'],
  ['a bar bars nobody', "local is_barred = bar and at_the_limit ~= 'admit'", 'local is_barred'],
  ['an emergency call is barred', "bar and at_the_limit ~= 'admit'", 'bar'],
  [
    'a bar refuses where the policy observes',
    "is_barred and at_the_limit ~= 'observe'",
    'is_barred'
  ],
  ['a bar is not observed', '(is_over or is_barred) and', 'is_over and'],
  ['0 is a limit like others', 'local is_over = limit > 0 and', 'local is_over ='],
  ['temporary limits do not count', 'tonumber(temporary_limit or own_limit', 'tonumber(own_limit'],
  ['own limits do not count', 'temporary_limit or own_limit or', 'temporary_limit or'],
  [
    'any text is a limit',
    "string.match(own_limit, '^[+-]?%d%d?%d?%d?%d?%d?%d?%d?%d?%d?$')",
    'own_limit'
  ],
  ['external sessions do not count', 'local count = leases + external', 'local count = leases'],
  [
    'external sessions that are leases count twice',
    'external = external - 1',
    'external = external'
  ],
  ['an external session that asks counts twice', 'count + 1 - own_slot', 'count + 1'],
  [
    'ended ids are forgotten',
    "if is_late and (of_node == '' or of_node == node) then",
    'if false then'
  ],
  [
    'an end for one node holds for all',
    "if is_late and (of_node == '' or of_node == node) then",
    'if is_late then'
  ],
  [
    'an end for one node holds for none',
    "if is_late and (of_node == '' or of_node == node) then",
    "if is_late and of_node == '' then"
  ],
  [
    'a bound caller refreshes a session of another node',
    "if ends and bound_to ~= '' and held_on ~= bound_to then return { FORBIDDEN } end",
    ''
  ],
  [
    "a bound caller is told of another user's session of another node",
    "{ bound_to ~= '' and held_on ~= bound_to and FORBIDDEN or CONFLICT }",
    '{ CONFLICT }'
  ],
  [
    'the attempt that has ended comes back',
    'ended_attempt and attempt <= (',
    'ended_attempt and attempt < ('
  ],
  [
    'a later attempt has ended, too',
    'ended_attempt and attempt <= (tonumber(ended_attempt) or 0)',
    'ended_attempt'
  ],
  [
    'an earlier attempt refreshes a live one',
    'if ends and attempt < live_attempt then return { ENDED } end',
    ''
  ],
  [
    'the live attempt is not refreshed',
    'if ends and attempt < live_attempt then',
    'if ends and attempt <= live_attempt then'
  ],
  [
    'an earlier attempt takes the place of a later one that lapsed',
    'if holder == user and attempt < live_attempt then return { ENDED } end',
    ''
  ],
  [
    'what has lapsed is no new session for the same attempt',
    'if holder == user and attempt < live_attempt then return { ENDED } end',
    'if holder == user and attempt <= live_attempt then return { ENDED } end'
  ],
  ['a later attempt is not written', 'if attempt > live_attempt then', 'if false then'],
  ['an emergency is not written', '(is_marked and mark_urgent(rest) or rest)', 'rest'],
  [
    'an emergency is written only for a later attempt',
    'if is_marked or attempt > live_attempt then',
    'if attempt > live_attempt then'
  ],
  [
    'what is no emergency is marked as one',
    "urgent ~= '!' and string.find(details, '^%d*!')",
    "urgent ~= '!'"
  ],
  [
    'an emergency is marked twice',
    "urgent ~= '!' and string.find(details, '^%d*!')",
    "string.find(details, '^%d*!')"
  ],
  [
    'a dry run raises the attempt',
    "if not dry_run then call('SET'",
    "if true then call('SET'"
  ],
  [
    'a later attempt runs into the details',
    "string.find(behind, '^[ !]') and '' or ' '",
    "''"
  ],
  [
    'a later attempt stands beside the earlier one',
    "string.gsub(string.gsub(rest, '^%d+', ''),",
    'string.gsub(rest,'
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
    'a dry run prolongs the memory of an ended id',
    "if not dry_run then\n      call('PEXPIRE', record_key, ended",
    "if true then\n      call('PEXPIRE', record_key, ended"
  ],
  [
    'the id of another user is free',
    '> record_ttl_ms - ttl_ms then',
    '> 1e15 then'
  ],
  [
    'the id of another user is never free',
    '> record_ttl_ms - ttl_ms then',
    '> 0 then'
  ],
  ["the id of another user is one's own", 'if holder and holder ~= user then', 'if false then'],
  ['a held id takes a second slot', 'elseif holder then', 'elseif false then'],
  ['an expired lease is live', 'if ends and ends > now then', 'if ends then'],
  [
    'a refresh does not prolong the record',
    "call('PEXPIRE', record_key, record_ttl_ms)",
    ''
  ],
  ['a refresh does not prolong the lease', "call('ZADD', leases_key, expires, id)", ''],
  [
    'a refresh does not prolong the entry of the node',
    'enter_node(node_leases_prefix, held_on, user, id, expires)',
    ''
  ],
  [
    'a refresh moves to another node',
    'enter_node(node_leases_prefix, held_on, user, id, expires)',
    'enter_node(node_leases_prefix, node, user, id, expires)'
  ],
  [
    'a dry run refreshes',
    "if not dry_run then\n        call('PEXPIRE'",
    "if true then\n        call('PEXPIRE'"
  ],
  ['nobody is refused', "if is_over and at_the_limit == 'reject'", 'if false'],
  [
    'emergencies are refused',
    "at_the_limit == 'reject'",
    "(at_the_limit == 'reject' or at_the_limit == 'admit')"
  ],
  [
    'emergencies terminate others',
    "is_over and at_the_limit == 'terminate_oldest'",
    "is_over and at_the_limit ~= 'observe'"
  ],
  ['nobody is terminated', 'local terminates = is_over and', 'local terminates = false and'],
  ['observing is not reported', "(is_over or is_barred) and at_the_limit == 'observe'", 'false'],
  ['one too few is terminated', 'math.min(after - limit,', 'math.min(after - limit - 1,'],
  ['one too many is terminated', 'math.min(after - limit,', 'math.min(after - limit + 1,'],
  ['the newest is terminated first', 'return a.start < b.start', 'return a.start > b.start'],
  [
    'external sessions are terminated first',
    'return a.rank < b.rank',
    'return a.rank > b.rank'
  ],
  [
    'the lease that expires first is terminated first',
    'table.sort(others, function',
    'local _ = (function'
  ],
  [
    'expired leases are terminated in place of live ones',
    "'ZRANGEBYSCORE', leases_key, '(' .. now",
    "'ZRANGEBYSCORE', leases_key, '-inf'"
  ],
  [
    'a terminated session comes back',
    "ENDED_MARK .. user .. '|' .. (session.attempt or '') .. ' terminated'",
    "LEASE_MARK .. user .. ' 1  '"
  ],
  [
    'the attempt of a terminated session is forgotten',
    "'|' .. (session.attempt or '') .. ' terminated'",
    "'| terminated'"
  ],
  ['an emergency session is terminated', "if urgent ~= '!' then", 'if true then'],
  [
    'who asks again is not told who was terminated',
    "if (#reply > 5 or ended_before ~= '') and not dry_run then",
    'if false then'
  ],
  [
    'a dry run notes who was terminated',
    "if (#reply > 5 or ended_before ~= '') and not dry_run then",
    'if #reply > 5 then'
  ],
  [
    'a terminated session comes back too soon',
    'math.max(ended_ttl_ms, session.left_ms or 0)',
    'ended_ttl_ms'
  ],
  ['a terminated session keeps its slot', "call('ZREM', leases_key, session.id)", ''],
  [
    'a terminated external session keeps its slot',
    "pcall('SREM', external_key, session.id)",
    ''
  ],
  [
    'a terminated session stays on its node',
    "leave_node(node_leases_prefix, session.node or '', user, session.id)",
    ''
  ],
  [
    'a dry run terminates others',
    'if not dry_run then\n    -- A lease may',
    'if true then\n    -- A lease may'
  ],
  [
    'a dry run takes a slot',
    'if not dry_run and not only_makes_room then\n  local started',
    'if not only_makes_room then\n  local started'
  ],
  [
    'no record is written',
    "call('SET', record_key, new_record, 'PX', record_ttl_ms)",
    ''
  ],
  ['a record never expires', "new_record, 'PX', record_ttl_ms)", 'new_record)'],
  [
    'a record expires with its lease',
    "new_record, 'PX', record_ttl_ms)",
    "new_record, 'PX', ttl_ms)"
  ],
  ['no slot is taken', "write('ZADD', leases_key, expires, id)", ''],
  ['the node is not told', 'enter_node(node_leases_prefix, node, user, id, expires)', '']
]
