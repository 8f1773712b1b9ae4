import type { Mutant } from './acquire-mutants.ts'

/** Mistakes in claim.lua. */
export const claim: Mutant[] = [
  [
    "another user's claim is replaced",
    "if before == ANOTHERS and (replaceable == '' or holder ~= replaceable) then",
    'if false then'
  ],
  [
    "no other user's claim is replaced",
    "if before == ANOTHERS and (replaceable == '' or holder ~= replaceable) then",
    'if before == ANOTHERS then'
  ],
  [
    'whoever holds it meanwhile is replaced, too',
    "(replaceable == '' or holder ~= replaceable)",
    "replaceable == ''"
  ],
  [
    'a user cannot claim again',
    'if before == ANOTHERS and',
    'if before ~= NOBODYS and'
  ],
  ['who holds it is not told', 'return { holder, ANOTHERS }', 'return { user, ANOTHERS }'],
  ['an unclaimed id is the own one', 'not holder and NOBODYS', 'not holder and OWN'],
  ['the own id is unclaimed', 'holder == user and OWN', 'holder == user and NOBODYS'],
  ["another user's id is the own one", 'and OWN or ANOTHERS', 'and OWN or OWN'],
  ["another user's id is unclaimed", 'and OWN or ANOTHERS', 'and OWN or NOBODYS'],
  [
    'the own claim gets shorter',
    'if before == OWN then claim_ttl_ms = math.max(claim_ttl_ms, left_ms) end\n',
    ''
  ],
  ['the own claim does not get longer', 'math.max(claim_ttl_ms, left_ms)', 'left_ms'],
  [
    "a claim lasts as long as another's before it",
    'if before == OWN then claim_ttl_ms =',
    'if true then claim_ttl_ms ='
  ],
  [
    'how long it was claimed is not told',
    "local left_ms = holder and redis.call('PTTL', holder_key) or 0",
    'local left_ms = 0'
  ],
  [
    'how long it is claimed from now on is told',
    'return { user, before, left_ms }',
    "return { user, before, redis.call('PTTL', holder_key) }"
  ],
  ['nothing is noted', "redis.call('SET', holder_key, user", "redis.call('ECHO', user"],
  ['a claim never ends', "user, 'PX', claim_ttl_ms)", 'user)'],
  [
    'a key of another type fails it',
    "redis.pcall('GET', holder_key)",
    "redis.call('GET', holder_key)"
  ]
]

/** Mistakes in end-claim.lua. */
export const endClaim: Mutant[] = [
  ['who has claimed the id loses it', "if holder ~= '' and", 'if false and'],
  ['nothing is remembered of a free id', "if holder ~= '' and", 'if'],
  [
    'the first end is the last that is remembered',
    'string.sub(holder, 1, 1) ~= ENDED_MARK then',
    'true then'
  ],
  ['only a claimed id is ended', '1) ~= ENDED_MARK', '1) == ENDED_MARK'],
  ['it is not said that it is not remembered', 'then return 0 end', 'then return 1 end'],
  ['it is not said that it is remembered', 'return 1\n', 'return 0\n'],
  [
    'nothing is noted',
    "redis.call('SET', holder_key, ended_record",
    "redis.call('ECHO', ended_record"
  ],
  ['it is remembered for ever', "ended_record, 'PX', ended_ttl_ms)", 'ended_record)'],
  [
    'a key of another type fails it',
    "redis.pcall('GET', holder_key)",
    "redis.call('GET', holder_key)"
  ]
]
