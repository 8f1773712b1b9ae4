-- Puts back leases that were granted while Redis was away, or that Redis has lost. The limit does
-- not matter, because the calls are up. A lease that is held already never gets shorter, and an id
-- that has ended stays ended, unless the lease is of a later attempt. A session that was registered
-- anew meanwhile gets back its start, its node and its details.
-- Returns  the outcome for each session: RESTORED, CONFLICT (another user holds the id, or it is of
--          another node, and whoever said that it is up is bound to this one), ENDED
--          (this attempt, or a later one, has ended, or a later one is live, or all sessions of
--          its user were ended after it began)
local keys = KEYS -- for each session: its record, the leases of its user, and the user's last end
local record_grace_ms = ARGV[1] -- how much longer than its lease a record is kept
local node_leases_prefix = ARGV[2] -- '' in a cluster
local ended_ttl_ms = ARGV[3] -- how long an id that has ended is remembered
local deadline = ARGV[4] -- until when they may be put back, by the clock of Redis; '' for any time
-- From the 5th on, for each session: user, id, ms left, started ms, node, the rest of its record,
-- the only node whose sessions its caller may touch ('' for any), and 1 if it has moved to its node
-- since Redis was told of it.
local args = ARGV
local FIRST = 5

-- include outcomes
-- include now
-- include in-time
-- include record
-- include lease-end
-- include enter-node
-- include leave-node
-- include user-end
-- include mark-urgent

local call, pcall, match = redis.call, redis.pcall, string.match
local CLOCK_ERROR_MS = 2000 -- how far an instant may lie in the future

local function text_at (key)
  local stored = pcall('GET', key)
  return type(stored) == 'string' and stored or ''
end

-- Whether all sessions of the user were ended after this one began.
local function has_ended (user_end_key, started, is_urgent)
  local ordinary, all = match(text_at(user_end_key), USER_END)
  local ended_by = tonumber(is_urgent and all or ordinary) or 0
  -- Noted before the clock was set back: whoever ended them tells it again, by the clock as it is.
  if ended_by > now + CLOCK_ERROR_MS then return false end
  return tonumber(started) <= ended_by
end

-- What a record says behind the node: a renewal that found nothing knew no details, nor that it was
-- an emergency call.
local function fuller (known, other)
  local rest = match(known, '^%d*!? *$') and other or known
  local is_marked = says_urgent(known) or says_urgent(other)
  return is_marked and not says_urgent(rest) and mark_urgent(rest) or rest
end

local function restore (at, user, id, left_ms, started, node, rest, bound_to, moved)
  local record_key, leases_key, user_end_key = unpack(keys, at, at + 2)
  local record = text_at(record_key)
  local attempt = tonumber(match(rest, '^%d+')) or 0
  local _, ended_attempt, of_node = match(record, ENDED_RECORD)
  local is_late = ended_attempt and attempt <= (tonumber(ended_attempt) or 0)
  if is_late and (of_node == '' or of_node == node) then
    -- It may have ended where nobody could tell whose it was.
    if of_node == '' then pcall('ZREM', leases_key, id) end
    return ENDED
  end
  local holder, known_start, held_on, rest_at, live_attempt, urgent = match(record, LEASE_RECORD)
  live_attempt = tonumber(live_attempt) or 0
  local is_foreign = holder and bound_to ~= '' and held_on ~= bound_to
  if holder and (holder ~= user or is_foreign) then
    -- A record outlives its lease: the id is free when the lease has ended.
    if call('PTTL', record_key) > tonumber(record_grace_ms) then return CONFLICT end
  end
  if holder == user and attempt < live_attempt then return ENDED end
  local is_same = holder == user and attempt == live_attempt
  local is_urgent = says_urgent(rest) or is_same and urgent == '!'
  if has_ended(user_end_key, started, is_urgent) then
    local digits = attempt > 0 and string.format('%d', attempt) or ''
    call('SET', record_key, ENDED_MARK .. user .. '|' .. digits .. ' all ended', 'PX', ended_ttl_ms)
    pcall('ZREM', leases_key, id)
    if holder == user then leave_node(node_leases_prefix, held_on, user, id) end
    return ENDED
  end
  local record_ttl_ms = left_ms + record_grace_ms
  -- Whoever has heard of it last knows on which node it is.
  local ends = lease_end(leases_key, id, now)
  local is_there = moved == '1' and not (ends and ends >= now + left_ms)
  if is_same and held_on ~= '' and not is_there then node = held_on end
  if is_same and held_on ~= node then leave_node(node_leases_prefix, held_on, user, id) end
  local is_known = is_same and (urgent == '!' or not is_urgent)
  if is_known and tonumber(known_start) <= tonumber(started) and held_on == node then
    call('PEXPIRE', record_key, record_ttl_ms, 'GT')
  else
    if is_same then
      if tonumber(known_start) < tonumber(started) then started = known_start end
      rest = fuller(string.sub(record, rest_at), rest)
      record_ttl_ms = math.max(record_ttl_ms, call('PTTL', record_key))
    elseif holder == user then
      leave_node(node_leases_prefix, held_on, user, id)
    end
    local new_record = LEASE_MARK .. user .. ' ' .. started .. ' ' .. node .. ' ' .. rest
    call('SET', record_key, new_record, 'PX', record_ttl_ms)
  end
  write('ZADD', leases_key, 'GT', now + left_ms, id)
  enter_node(node_leases_prefix, node, user, id, now + left_ms)
  return RESTORED
end

local outcomes = {}
for i = 1, #keys / 3 do
  local at = FIRST + (i - 1) * 8
  outcomes[i] = restore(3 * i - 2, unpack(args, at, at + 7))
end
return outcomes
