-- Takes a slot for a session, or refreshes the slot that the session holds. Everything is decided
-- before the first write, so that a full Redis refuses the whole call.
-- Returns  { ADMITTED, count, limit, started in ms, twice the external sessions and 1 more if over
--            the limit and only observed, ids of the sessions that were terminated ... }
--          { REFRESHED, count, limit, expires in ms, record, external }
--          { LIMIT_REACHED, count, limit, external }
--          { BARRED, count, limit, bar }: the user may have no calls
--          { CONFLICT }: another user holds the id
--          { ENDED }: this attempt, or a later one, has ended, or a later one is live or has lapsed
--          { FORBIDDEN }: the caller is bound to a node, and the session is of another one
--          { ROOM_MADE, count, limit, now, how many were ended, ids of those that were
--            sessions ... }: too many have to end for one call; no slot was taken, and the caller
--            asks again
--          { LOST_DATA }: this is not the generation of data that the caller expects
--          The limit is a number if it is that of the policy, else text: a user's own limit as it
--          is stored, or `<temporary limit> <its end in ms>`.
local KEYS, ARGV = KEYS, ARGV -- a local costs less than a global
local record_key = KEYS[1]
local leases_key = KEYS[2]
local external_key = KEYS[3]
local limit_key = KEYS[4]
local temporary_limit_key = KEYS[5]
local bar_key = KEYS[6]
local generation_key = KEYS[7] -- none in a cluster, where it lies in another slot
-- The leases of another user who is known to have held the id, should its record be gone; or none.
local suspect_leases_key = KEYS[8]
local user = ARGV[1]
local id = ARGV[2]
local ttl_ms = ARGV[3]
local record_ttl_ms = ARGV[4]
local node = ARGV[5] -- '' for none
local details = ARGV[6]
local policy_limit = ARGV[7]
local at_the_limit = ARGV[8] -- reject, terminate_oldest, observe or admit
local dry_run = ARGV[9] == '1'
local ended_ttl_ms = ARGV[10] -- how long the id of a terminated session is remembered
local record_prefix = ARGV[11]
local node_leases_prefix = ARGV[12] -- '' in a cluster
local session_prefix = ARGV[13] -- of the switch's keys; '' in a cluster
local expected_generation = ARGV[14] -- '' for any
-- The first try was not answered. A lease that only that try has touched stays as it is, so that
-- the caller can still tell it apart.
local is_second_try = ARGV[15] == '1'
local attempt = tonumber(ARGV[16])
local bound_to = ARGV[17] -- the only node whose sessions the caller may touch; '' for any
local ended_before = ARGV[18] -- ids that earlier calls ended to make room for this one
local deadline = ARGV[19] -- until when it may be decided, by the clock of Redis; '' for any time

-- What one call does at the most, so that nobody waits long: sessions that it ends, and leases and
-- external sessions among which it looks for the oldest.
local MOST_ENDED = 250
local MOST_LOOKED_AT = 1000

-- include outcomes
-- include now
-- include in-time
-- include record
-- include lease-end
-- include enter-node
local call, pcall = redis.call, redis.pcall
-- As text: redis.call takes three times as long over a number, and tostring over making the text.
local expires = string.format('%d', now + ttl_ms)

local stored =
  call('MGET', record_key, limit_key, temporary_limit_key, bar_key, generation_key or record_key)
local record, own_limit, temporary_limit, bar, generation =
  stored[1], stored[2], stored[3], stored[4], stored[5]
if expected_generation ~= '' and generation ~= expected_generation then return { LOST_DATA } end
own_limit = own_limit and string.match(own_limit, '^[+-]?%d%d?%d?%d?%d?%d?%d?%d?%d?%d?$')
local temporary_text = temporary_limit and string.match(temporary_limit, '^%d+ %d+ ')
temporary_limit = temporary_text and string.match(temporary_text, '^%d+')
local limit = tonumber(temporary_limit or own_limit or policy_limit)
local shown_limit = temporary_text or own_limit or limit

local leases, external = 0, 0
-- Most users who ask have no session: one look at both keys spares a look into each.
if call('EXISTS', leases_key, external_key) > 0 then
  -- include count
  if external < 0 then external = 0 end
end
local count = leases + external

if record then
  local _, ended_attempt, of_node = string.match(record, ENDED_RECORD)
  local is_late = ended_attempt and attempt <= (tonumber(ended_attempt) or 0)
  if is_late and (of_node == '' or of_node == node) then
    if not dry_run then
      call('PEXPIRE', record_key, ended_ttl_ms, 'GT')
      -- It may have ended where nobody could tell whose it was.
      if of_node == '' then pcall('ZREM', leases_key, id) end
    end
    return { ENDED }
  end
  local holder, started, held_on, rest_at, live_attempt, urgent = string.match(record, LEASE_RECORD)
  if holder and holder ~= user then
    -- A record outlives its lease: the id is free when the lease has ended.
    if call('PTTL', record_key) > record_ttl_ms - ttl_ms then
      return { bound_to ~= '' and held_on ~= bound_to and FORBIDDEN or CONFLICT }
    end
  elseif holder then
    local ends = lease_end(leases_key, id, now)
    if not ends then
      -- Somebody deleted the lease, or Redis evicted it: the record says how long it would last.
      local left_ms = call('PTTL', record_key) - (record_ttl_ms - ttl_ms)
      if left_ms > 0 then ends, count = now + left_ms, count + 1 end
    end
    live_attempt = tonumber(live_attempt) or 0
    if ends and bound_to ~= '' and held_on ~= bound_to then return { FORBIDDEN } end
    if ends and attempt < live_attempt then return { ENDED } end
    if ends and is_second_try and ends - started == tonumber(ttl_ms) then
      return { REFRESHED, count, shown_limit, ends, record, external }
    end
    if ends then
      local is_marked = urgent ~= '!' and string.find(details, '^%d*!')
      if is_marked or attempt > live_attempt then
        -- include raise-attempt
        -- include mark-urgent
        local head, rest = string.sub(record, 1, rest_at - 1), string.sub(record, rest_at)
        if attempt > live_attempt then rest = raise_attempt(rest, attempt) end
        record = head .. (is_marked and mark_urgent(rest) or rest)
        if not dry_run then call('SET', record_key, record, 'KEEPTTL') end
      end
      if not dry_run then
        call('PEXPIRE', record_key, record_ttl_ms)
        call('ZADD', leases_key, expires, id)
        enter_node(node_leases_prefix, held_on, user, id, expires)
      end
      return { REFRESHED, count, shown_limit, tonumber(expires), record, external }
    end
  end
  -- Lapsed: a late attempt does not take the place of a later one, which may have taken an end's.
  if holder == user and attempt < live_attempt then return { ENDED } end
end

-- The record is gone, and the lease is not: Redis evicted it, or somebody deleted it.
if leases > 0 and lease_end(leases_key, id, now) then
  local began = LEASE_MARK .. user .. ' ' .. string.format('%d', now) .. ' '
  local again = began .. node .. ' ' .. details
  if not dry_run then
    call('SET', record_key, again, 'PX', record_ttl_ms)
    call('ZADD', leases_key, 'XX', expires, id)
    enter_node(node_leases_prefix, node, user, id, now + ttl_ms)
  end
  return { REFRESHED, count, shown_limit, tonumber(expires), again, external }
end
if suspect_leases_key and lease_end(suspect_leases_key, id, now) then return { CONFLICT } end

-- Where nothing is refused, a bar refuses nothing either: limits are off, or it is an emergency.
local is_barred = bar and at_the_limit ~= 'admit'
if is_barred and at_the_limit ~= 'observe' then return { BARRED, count, shown_limit, bar } end

-- An external session that asks for a lease has its slot already.
local own_slot = external > 0 and call('SISMEMBER', external_key, id) or 0
external = external - own_slot
local after = count + 1 - own_slot
local is_over = limit > 0 and after > limit
if is_over and at_the_limit == 'reject' then
  return { LIMIT_REACHED, count, shown_limit, external }
end
local terminates = is_over and at_the_limit == 'terminate_oldest'
local only_makes_room = terminates and not dry_run and after - limit > MOST_ENDED
local is_observed = (is_over or is_barred) and at_the_limit == 'observe'

-- The first write is the one that a full Redis refuses; it refuses none of those that follow.
if not dry_run and not only_makes_room then
  local started = string.format('%d', now)
  local new_record = LEASE_MARK .. user .. ' ' .. started .. ' ' .. node .. ' ' .. details
  call('SET', record_key, new_record, 'PX', record_ttl_ms)
  write('ZADD', leases_key, expires, id)
  enter_node(node_leases_prefix, node, user, id, expires)
end

local flags = 2 * external + (is_observed and 1 or 0)
local reply = { ADMITTED, after, shown_limit, now, flags }
if not terminates and ended_before == '' then return reply end

-- include leave-node
-- include instant

-- The user's other sessions in the order in which they are terminated: ghosts, which nobody would
-- miss, then leases, then external sessions, the oldest first. Emergency calls are left alone. Of
-- very many leases only those are looked at that would end first.
local GHOST, LEASE, EXTERNAL = 0, 1, 2
local others = {}
local found = pcall(
  'ZRANGEBYSCORE', leases_key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, MOST_LOOKED_AT
)
local record_keys = {}
for i = 1, #found, 2 do record_keys[#record_keys + 1] = record_prefix .. found[i] end
local records = #record_keys > 0 and call('MGET', unpack(record_keys))
for i = 1, #found, 2 do
  if found[i] ~= id then
    local record_text = records[(i + 1) / 2] or ''
    local _, start, held_on, _, of_attempt, urgent = string.match(record_text, LEASE_RECORD)
    if urgent ~= '!' then
      others[#others + 1] = {
        id = found[i],
        rank = LEASE,
        start = tonumber(start) or 0,
        node = held_on or '',
        attempt = of_attempt or '',
        left_ms = found[i + 1] - now
      }
    end
  end
end
local scanned = pcall('SSCAN', external_key, '0', 'COUNT', MOST_LOOKED_AT)
for _, member in ipairs(scanned.err and {} or scanned[2]) do
  if member ~= id and not lease_end(leases_key, member, now) then
    local text = session_prefix == '' or pcall('GET', session_prefix .. member)
    local start = type(text) == 'string' and string.match(text, '"created_at"%s*:%s*("?[^",}]*)')
    local rank = text and EXTERNAL or GHOST
    others[#others + 1] = { id = member, rank = rank, start = instant(start or '') or 0 }
  end
end
table.sort(others, function (a, b)
  if a.rank ~= b.rank then return a.rank < b.rank end
  if a.start ~= b.start then return a.start < b.start end
  return a.id < b.id
end)

local ends = terminates and math.min(after - limit, MOST_ENDED, #others) or 0
for i = 1, ends do
  local session = others[i]
  reply[2] = reply[2] - 1
  if session.rank ~= LEASE then reply[5] = reply[5] - 2 end
  if session.rank ~= GHOST then reply[#reply + 1] = session.id end
  if not dry_run then
    -- A lease may be in the switch's set, too.
    pcall('SREM', external_key, session.id)
    if session.rank ~= GHOST then
      local remembered_ms = math.max(ended_ttl_ms, session.left_ms or 0)
      local ended_record = ENDED_MARK .. user .. '|' .. (session.attempt or '') .. ' terminated'
      call('SET', record_prefix .. session.id, ended_record, 'PX', remembered_ms)
      call('ZREM', leases_key, session.id)
      leave_node(node_leases_prefix, session.node or '', user, session.id)
    end
  end
end
if only_makes_room then
  reply[1], reply[5] = ROOM_MADE, ends
  return reply
end
-- Whoever asks again, because the answer was lost, is told the same.
if (#reply > 5 or ended_before ~= '') and not dry_run then
  local ended_now = table.concat(reply, ' ', 6)
  local gap = ended_before ~= '' and ended_now ~= '' and ' ' or ''
  call('APPEND', record_key, '\n' .. ended_before .. gap .. ended_now)
end
return reply
