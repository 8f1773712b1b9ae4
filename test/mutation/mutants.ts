import type { Scripts } from '../../services/redis/scripts.ts'

/** One mistake in a script: where this text is, that one stands instead. */
export type Mutant = [mistake: string, text: string, instead: string]

/** Mistakes in each script. Each changes what the script does, and a check must see it. */
export const mutants: Partial<Record<keyof Scripts, Mutant[]>> = {
  acquire: [
    ['expired leases count', "'ZCOUNT', KEYS[2], '(' .. now", "'ZCOUNT', KEYS[2], '-inf'"],
    ['one too many is let in', 'after > limit', 'after > limit + 1'],
    ['one too few is let in', 'after > limit', 'after >= limit'],
    ['0 is a limit like others', 'local over = limit > 0 and', 'local over ='],
    ['temporary limits do not count', 'tonumber(temporary or own', 'tonumber(own'],
    ['own limits do not count', 'temporary or own or', 'temporary or'],
    ['any text is a limit', "and string.find(own, '^%-?%d%d?%d?%d?%d?%d?%d?%d?%d?$') and own", ''],
    [
      'sessions of the switch do not count',
      'local count = leases + external',
      'local count = leases'
    ],
    [
      'sessions of the switch that are leases count twice',
      'external = external - 1',
      'external = external'
    ],
    ['a session of the switch that asks counts twice', 'count + 1 - itself', 'count + 1'],
    ['ended ids are forgotten', "if string.sub(record, 1, 1) == '-' then", 'if false then'],
    ['late calls do not remind of ended ids', "redis.call('PEXPIRE', KEYS[1], ARGV[10], 'GT')", ''],
    ['late calls shorten the memory of ended ids', ", ARGV[10], 'GT')", ', ARGV[10])'],
    [
      'a dry run reminds of ended ids',
      "if ARGV[9] ~= '1' then redis.call('PEXPIRE'",
      "if true then redis.call('PEXPIRE'"
    ],
    [
      'the id of another user is free',
      '> ARGV[4] - ARGV[3] then return { 4 }',
      '> 1e15 then return { 4 }'
    ],
    [
      'the id of another user is never free',
      '> ARGV[4] - ARGV[3] then return { 4 }',
      '> 0 then return { 4 }'
    ],
    ["the id of another user is one's own", 'if holder and holder ~= user then', 'if false then'],
    ['a held id takes a second slot', 'elseif holder then', 'elseif false then'],
    [
      'an expired lease is refreshed',
      'score and tonumber(score) > now then\n      if ARGV[15]',
      'score then\n      if ARGV[15]'
    ],
    ['a refresh forgets the record', "redis.call('PEXPIRE', KEYS[1], ARGV[4])", ''],
    [
      'a refresh does not prolong',
      "redis.call('ZADD', KEYS[2], expires, id)\n        if node",
      'if node'
    ],
    ['a refresh forgets the node', 'note(ARGV[12] .. node)', 'local _ = 0'],
    ['a refresh moves to another node', 'note(ARGV[12] .. node)', 'note(ARGV[12] .. ARGV[5])'],
    [
      'a dry run refreshes',
      "if ARGV[9] ~= '1' then\n        redis.call('PEXPIRE'",
      "if true then\n        redis.call('PEXPIRE'"
    ],
    ['nobody is refused', "if over and ARGV[8] == 'reject'", 'if false'],
    [
      'emergencies are refused',
      "ARGV[8] == 'reject'",
      "(ARGV[8] == 'reject' or ARGV[8] == 'admit')"
    ],
    [
      'emergencies end others',
      "over and ARGV[8] == 'terminate_oldest'",
      "over and ARGV[8] ~= 'observe'"
    ],
    ['nobody is ended', "over and ARGV[8] == 'terminate_oldest'", 'false'],
    ['observing says nothing', "over and ARGV[8] == 'observe' and 1 or 0", '0'],
    ['one too few is ended', 'math.min(after - limit', 'math.min(after - limit - 1'],
    ['one too many is ended', 'math.min(after - limit', 'math.min(after - limit + 1'],
    ['the newest end', 'return a.start < b.start', 'return a.start > b.start'],
    ['sessions of the switch end first', 'return a.rank < b.rank', 'return a.rank > b.rank'],
    ['whichever expires first is ended', 'table.sort(ending, function', 'local _ = (function'],
    [
      'expired leases are ended instead',
      "'ZRANGEBYSCORE', KEYS[2], '(' .. now",
      "'ZRANGEBYSCORE', KEYS[2], '-inf'"
    ],
    ['who was ended comes back', "'-' .. user .. ' terminated'", "'+' .. user .. ' 1  '"],
    ['who was ended comes back too soon', 'math.max(ARGV[10], session.left or 0)', 'ARGV[10]'],
    ['who was ended keeps its slot', "redis.call('ZREM', KEYS[2], session.id)", ''],
    [
      'sessions of the switch that were ended stay',
      "redis.pcall('SREM', KEYS[3], session.id)",
      'local _ = 0'
    ],
    [
      'who was ended stays on its node',
      "redis.pcall('ZREM', ARGV[12] .. session.node",
      "redis.pcall('ZSCORE', ARGV[12] .. session.node"
    ],
    ['a dry run ends others', 'if writes and session.rank', 'if session.rank'],
    ['a dry run takes a slot', 'if writes then\n  local taken', 'if true then\n  local taken'],
    [
      'no record is written',
      "redis.call('SET', KEYS[1], taken",
      "redis.call('ECHO', '+') redis.pcall('SET', KEYS[1]"
    ],
    ['a record never ends', ", 'PX', ARGV[4])\n", ')\n'],
    ['a record ends with its lease', ", 'PX', ARGV[4])\n", ", 'PX', ARGV[3])\n"],
    ['no slot is taken', "redis.call('ZADD', KEYS[2], expires, id)\n  if KEYS", 'if KEYS'],
    ['the node is not told', 'note(KEYS[7])', 'local _ = 0']
  ],
  renew: [
    ['ended ids come back', 'if string.byte(record) == 45 then', 'if false then'],
    ['late calls do not remind of ended ids', "call('PEXPIRE', key, args[3], 'GT')", ''],
    ['late calls shorten the memory of ended ids', ", args[3], 'GT')", ', args[3])'],
    [
      'the session of another user is taken',
      'elseif holder and holder ~= user and',
      'elseif false and'
    ],
    [
      'an expired id of another user is kept from all others',
      "call('PTTL', keys[i]) > tonumber(args[2])",
      "call('PTTL', keys[i]) > 0"
    ],
    [
      'an expired id of another user keeps its start',
      'holders[i] = holder == user and node',
      'holders[i] = node'
    ],
    [
      'it does not prolong',
      "added = pcall('ZADD', leases, expires, id)",
      "added = 0 pcall('ZADD', leases, 'NX', expires, id)"
    ],
    ['the record is forgotten', "call('PEXPIRE', key, kept)", ''],
    ['the start is forgotten', 'started, details = match(records[i]', 'details = match(records[i]'],
    ['the details are forgotten', "(%d+) %S* (.*)$')", "(%d+) %S* ')"],
    [
      'the old node keeps it',
      "pcall('ZREM', indexes .. held_by",
      "pcall('ZSCORE', indexes .. held_by"
    ],
    [
      'the new node is not told',
      "note[#note + 1] = user .. ' ' .. args[at]",
      "note[#note + 1] = ' '"
    ],
    ['the node is forgotten', "elseif not holders[i] then node = '' end", "else node = '' end"],
    ['whoever is registered again was known', "live and added == 0 and '1' or '2'", "'1'"],
    [
      'whoever had expired was not',
      "type(score) == 'string' and tonumber(score) > now",
      "type(score) == 'string'"
    ],
    ['whoever had expired on its node was not', "pcall('ZCOUNT', index, '-inf', now) == 0", 'true'],
    ['whoever comes to a node was there', 'fresh and added == 0', 'fresh'],
    [
      'only the first of many',
      'for i = 1, count do\n  local at = 11 + (i - 1) * each\n  local id,',
      'for i = 1, 1 do\n  local at = 11 + (i - 1) * each\n  local id,'
    ]
  ],
  release: [
    [
      'the id is not remembered',
      "redis.call('SET', KEYS[1], '-'",
      "redis.call('ECHO', '-') redis.pcall('SET', KEYS[1]"
    ],
    ['the id is remembered for ever', ", 'PX', remembered)", ')'],
    [
      'the id is forgotten before its lease ends',
      'then remembered = score - now end',
      'then local _ = 0 end'
    ],
    ['the slot is kept', "redis.call('ZREM', KEYS[2], id)", ''],
    ['anybody may', 'if holder and holder ~= user then', 'if false then'],
    [
      'the id of another user is always in the way',
      '> tonumber(ARGV[6]) then return { 4 }',
      '> 0 then return { 4 }'
    ],
    ['sessions of the switch stay', "redis.pcall('SREM', KEYS[3], id)", '0'],
    [
      'the node keeps it',
      "redis.pcall('ZREM', ARGV[5] .. node",
      "redis.pcall('ZSCORE', ARGV[5] .. node"
    ],
    [
      'unknown ids are released',
      "if not live and external ~= 1 and ARGV[9] ~= '1' then return { 0 } end",
      ''
    ],
    ['an expired lease is released', 'tonumber(score) > now', 'true'],
    ['a node releases what is young', 'or tonumber(started) > tonumber(ARGV[8])', ''],
    ['a node releases what has moved on', 'node ~= ARGV[7] or', '']
  ],
  count: [
    ['expired leases count', "'(' .. now, '+inf'", "'-inf', '+inf'"],
    ['sessions of the switch do not count', 'local kept', 'external = 0\nlocal kept'],
    [
      'sessions of the switch that are leases count twice',
      'external = external - 1',
      'external = external'
    ],
    ['temporary limits do not count', "kept[2] or ''", "''"],
    ['own limits do not count', "kept[1] or ''", "''"]
  ],
  purge: [
    ['nothing goes', "'-inf', now", "'-inf', '-inf'"],
    ['everything goes', "'-inf', now", "'-inf', '+inf'"],
    [
      'nodes keep it',
      "redis.pcall('ZREM', ARGV[3] .. node",
      "redis.pcall('ZSCORE', ARGV[3] .. node"
    ]
  ],
  reportNode: [
    ['old epochs are taken', 'tonumber(epoch) > tonumber(ARGV[2])', 'false'],
    [
      'new epochs are refused',
      'tonumber(epoch) > tonumber(ARGV[2])',
      'tonumber(epoch) < tonumber(ARGV[2])'
    ],
    [
      'the same epoch is refused',
      'tonumber(epoch) > tonumber(ARGV[2])',
      'tonumber(epoch) >= tonumber(ARGV[2])'
    ]
  ],
  sweepGhosts: [
    ['the living go', '== 0 then ghosts', '== 1 then ghosts'],
    ['all go', "redis.call('EXISTS', KEYS[i + 1]) == 0", 'true']
  ],
  setTemporaryLimit: [
    ['it never ends', ", 'PX', ARGV[2])", ')'],
    ['it says nothing of its limit', 'ARGV[1] .. ', "'1' .. "]
  ],
  updatePolicy: [
    ['another type stays', "redis.call('DEL', KEYS[1])", "redis.call('EXISTS', KEYS[1])"]
  ]
}
