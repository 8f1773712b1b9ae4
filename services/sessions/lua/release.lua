-- Ends a session, and remembers that it has ended, so that a late acquire or renewal does not bring
-- it back. An id that is not known is remembered, too. Or lets a lease lapse: its slot is free, and
-- nothing has ended.
-- Returns  { RELEASED, record, ms that the lease had left } or { UNKNOWN, record }: in a cluster
--          the index of the node is for the caller to update
--          { UNKNOWN }: the id had ended before
--          { CONFLICT }: another user holds the id
--          { SPARED }: an emergency call, which the caller leaves alone
--          { FORBIDDEN }: the caller is bound to a node, and the session is of another one
--          { UNMET }: a condition of the caller does not hold, or a later attempt is live
local KEYS, ARGV = KEYS, ARGV -- a local costs less than a global
local record_key = KEYS[1]
local leases_key = KEYS[2]
local external_key = KEYS[3]
local user = ARGV[1] -- '' where nobody knows whose session it is
local id = ARGV[2]
local reason = ARGV[3]
local ended_ttl_ms = ARGV[4] -- how long an id that has ended is remembered
local node_leases_prefix = ARGV[5] -- '' in a cluster
local record_grace_ms = ARGV[6] -- how much longer than its lease a record is kept
local only_node = ARGV[7] -- only a session of this node; '' for any
-- Only a session that started by then; nil for any. Where one id is ended, a later start alone does
-- not matter: the same attempt is meant, which came late.
local only_started_by_ms = tonumber(ARGV[8])
local only_untouched_ttl_ms = tonumber(ARGV[9]) -- only a lease of this length, never renewed
local attempt = tonumber(ARGV[10]) -- nil for whichever is live
local spares_emergency = ARGV[11] == '1'
local lapses = ARGV[12] == '1'
-- With 'any' an id that is not up is left alone. With 'recorded', where an end is told again, so is
-- a lease whose record is gone: nobody can tell when it began. '' to leave neither alone.
local only_live = ARGV[13] ~= ''
local only_recorded = ARGV[13] == 'recorded'
local bound_to = ARGV[14] -- the only node whose sessions the caller may touch; '' for any
local unknown_ttl_ms = ARGV[15] -- how long an id is remembered whose lease may be live elsewhere
local deadline = ARGV[16] -- until when it may be ended, by the clock of Redis; '' for any time

-- include outcomes
-- include now
-- include in-time
-- include record
-- include lease-end
-- include leave-node

local call, pcall, match = redis.call, redis.pcall, string.match
local stored = pcall('GET', record_key)
local record = type(stored) == 'string' and stored or ''

local function remember (whose, ended_attempt, for_node, ms)
  local digits = ended_attempt > 0 and string.format('%d', ended_attempt) or ''
  local only = for_node == '' and '' or '@' .. for_node
  local ended_record = ENDED_MARK .. whose .. '|' .. digits .. only .. ' ' .. reason
  call('SET', record_key, ended_record, 'PX', ms)
end

-- Removes the id from the sessions that the switch recorded itself; a lapse leaves those alone.
-- They are of no node: where only one node's are meant, this removes what has a lease there, too.
local function remove_external (has_lease)
  if lapses or not has_lease and (bound_to ~= '' or only_node ~= '') then return false end
  return pcall('SREM', external_key, id) == 1
end

local whose, ended_attempt, of_node = match(record, ENDED_RECORD)
if whose then
  -- The id may be known as ended, and its session be up: who asked first named no user. Its lease
  -- may be live, too, where the record was lost that names the user.
  local is_for_all = of_node == '' or bound_to == ''
  local is_own = is_for_all and (whose == '' or whose == user)
  local ends = is_own and lease_end(leases_key, id, now)
  if is_own then pcall('ZREM', leases_key, id) end
  local was_external = remove_external()
  local is_later = attempt and attempt > (tonumber(ended_attempt) or 0)
  -- Whoever is bound to a node changes ends of this node only; others end it for all nodes.
  local is_wider = of_node ~= '' and bound_to == ''
  if (is_later and of_node == bound_to or is_wider) and not lapses then
    local last_attempt = math.max(attempt or 0, tonumber(ended_attempt) or 0)
    local ms = math.max(call('PTTL', record_key), tonumber(ended_ttl_ms))
    remember(whose, last_attempt, bound_to, ms)
  end
  if ends then return { RELEASED, '', ends - now } end
  return { was_external and RELEASED or UNKNOWN }
end

local holder, started, node, _, live_attempt, urgent = match(record, LEASE_RECORD)
live_attempt = tonumber(live_attempt) or 0
local is_foreign = holder and bound_to ~= '' and node ~= bound_to
if holder and (holder ~= user or is_foreign) then
  -- A record outlives its lease: the id is free when the lease has ended.
  if call('PTTL', record_key) > tonumber(record_grace_ms) then
    return { is_foreign and FORBIDDEN or CONFLICT }
  end
  -- What is known of the call is left to its own node, which may still renew it.
  if is_foreign then return { UNKNOWN } end
  if user ~= '' then holder, node = nil, nil end
end
if holder and attempt and attempt < live_attempt then return { UNMET } end
local ends = lease_end(leases_key, id, now)
if holder and not ends then
  -- Somebody deleted the lease, or Redis evicted it: the record says how long it would last.
  local left_ms = call('PTTL', record_key) - record_grace_ms
  if left_ms > 0 then ends = now + left_ms end
end
if only_live and not ends and pcall('SISMEMBER', external_key, id) ~= 1 then return { UNMET } end
if only_recorded and ends and not holder then return { UNMET } end
if holder and ends then
  if only_node ~= '' and node ~= only_node then return { UNMET } end
  local is_younger = only_started_by_ms and tonumber(started) > only_started_by_ms
  -- What began in the future did so before the clock was set back. It may be younger, all the same,
  -- than an end that is told again.
  if is_younger and only_live and not only_recorded and tonumber(started) > now then
    is_younger = false
  end
  local is_other = lapses or only_live or live_attempt > (attempt or 0)
  if is_younger and is_other then return { UNMET } end
  if spares_emergency and urgent == '!' then return { SPARED } end
end
if only_untouched_ttl_ms then
  local is_untouched = ends and holder and ends - started == only_untouched_ttl_ms
  if not is_untouched then return { UNMET } end
end

pcall('ZREM', leases_key, id)
if node then leave_node(node_leases_prefix, node, holder, id) end
if lapses then
  if holder then call('PEXPIRE', record_key, record_grace_ms) end
  return { ends and RELEASED or UNKNOWN, record }
end
local was_up = remove_external(holder and ends) or ends
local left_ms = ends and ends - now or 0
local remembered_ms = math.max(was_up and ended_ttl_ms or unknown_ttl_ms, left_ms)
local for_node = holder and '' or bound_to
remember(holder or user, math.max(attempt or 0, live_attempt), for_node, remembered_ms)
return { was_up and RELEASED or UNKNOWN, record, left_ms }
