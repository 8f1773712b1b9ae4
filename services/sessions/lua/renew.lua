-- Renews leases, one or many. A session that is not known is registered again, even over the limit,
-- because the switch says that the call is up. No id may be named twice in one call. In a cluster,
-- where the keys of one user share a slot, a call is about one user. What becomes of each session
-- is decided before the first write, so that a full Redis refuses the whole call.
-- Returns  { the end of the leases in ms, the outcome of each session as a digit, its record ... }
--          The digits: RENEWED, REREGISTERED, CONFLICT (another user holds the id), ENDED (or a
--          later attempt is live).
--          A session that was not renewed has the record ''. Where one of them is forbidden to the
--          caller, all are FORBIDDEN, and nothing is written.
-- KEYS     the leases of the first user, by which the call finds its slot; in a cluster also every
--          record, so that Redis refuses the call while the slot is half moved
local ARGV = ARGV -- a local costs less than a global
local ttl_ms = ARGV[1]
local record_grace_ms = ARGV[2] -- how much longer than its lease a record is kept
local ended_ttl_ms = ARGV[3] -- how long an id that has ended is remembered
local record_prefix = ARGV[4]
local before_user = ARGV[5] -- what stands before and after the user in the key of the leases
local after_user = ARGV[6]
local node_leases_prefix = ARGV[7] -- '' in a cluster
local new_node = ARGV[8] -- the node that all of the sessions are on; '' for the node of each record
local wants_records = ARGV[9] == '1'
local each = tonumber(ARGV[10]) -- how many arguments there are for each session
local bound_to = ARGV[11] -- the only node whose sessions the caller may touch; '' for any
local deadline = ARGV[12] -- until when they may be renewed, by the clock of Redis; '' for any time
-- From the 13th on, for each session: id, user, if `each` is 3 or more the rest of the record that
-- an unknown one gets, and if it is 4 the attempt, which is '' for whichever is live.
local args = ARGV

-- include outcome-digits
-- include now
-- include in-time
-- include record
-- include lease-end
-- include replace
-- include leave-node
-- include raise-attempt
-- include mark-urgent

local call, pcall, match = redis.call, redis.pcall, string.match
-- As text: redis.call takes three times as long over a number, and tostring over making the text.
local expires = string.format('%d', now + ttl_ms)
local record_ttl_ms = string.format('%d', ttl_ms + record_grace_ms)
local FIRST = 13
local total = (#args - FIRST + 1) / each

local record_keys = {}
for i = 1, total do record_keys[i] = record_prefix .. args[FIRST + (i - 1) * each] end
-- One read for all records costs less than a read for each.
local records = call('MGET', unpack(record_keys))

-- The outcome of each session, the node that its user's lease is on (nil without a lease) and the
-- node that it will be on; and for each node what its index is to be told.
local outcomes, held_on, nodes, entries = {}, {}, {}, {}
local raised = {} -- the attempt that a session is renewed for, where it is a later one
local marked = {} -- whether a session is an emergency call, and was not known as one
for i = 1, total do
  local at = FIRST + (i - 1) * each
  local user, record = args[at + 1], records[i] or ''
  local attempt = each == 4 and tonumber(args[at + 3])
  local holder, _, node, _, live_attempt, urgent = match(record, LEASE_RECORD)
  local _, ended_attempt, of_node = match(record, ENDED_RECORD)
  local is_late = ended_attempt and (attempt or 0) <= (tonumber(ended_attempt) or 0)
  if holder and bound_to ~= '' and node ~= bound_to then
    -- A record outlives its lease.
    if call('PTTL', record_keys[i]) > tonumber(record_grace_ms) then
      local no_end = 0
      return { no_end, string.rep(FORBIDDEN, total) }
    end
  end
  if is_late and (of_node == '' or of_node == new_node) then
    outcomes[i] = ENDED
  elseif holder == user and attempt and attempt < (tonumber(live_attempt) or 0) then
    outcomes[i] = ENDED
  elseif holder and holder ~= user and call('PTTL', record_keys[i]) > tonumber(record_grace_ms) then
    outcomes[i] = CONFLICT
  else
    if holder == user then
      held_on[i] = node
      if attempt and attempt > (tonumber(live_attempt) or 0) then raised[i] = attempt end
      marked[i] = each > 2 and urgent ~= '!' and says_urgent(args[at + 2])
    end
    if new_node ~= '' then
      node = new_node
    elseif holder ~= user then
      node = ''
    end
    nodes[i] = node
    local entry = entries[node]
    if not entry then
      entry = {}
      entries[node] = entry
    end
    entry[#entry + 1] = expires
    entry[#entry + 1] = user .. ' ' .. args[at]
  end
end

-- An index that named all of its sessions before, and none that has expired, shows that their
-- leases are live: that spares a look at each lease.
local all_live = {}
if node_leases_prefix ~= '' then
  for node, entry in pairs(entries) do
    if node ~= '' then
      local index_key = node_leases_prefix .. node
      local none_expired = pcall('ZCOUNT', index_key, '-inf', now) == 0
      all_live[node] = write('ZADD', index_key, unpack(entry)) == 0 and none_expired
    end
  end
end

for i = 1, total do
  local at = FIRST + (i - 1) * each
  local id, user, record_key, node = args[at], args[at + 1], record_keys[i], nodes[i]
  if outcomes[i] == ENDED and string.sub(records[i], 1, 1) == ENDED_MARK then
    call('PEXPIRE', record_key, ended_ttl_ms, 'GT')
    -- It may have ended where nobody could tell whose it was.
    local _, _, of_node = match(records[i], ENDED_RECORD)
    if of_node == '' then pcall('ZREM', before_user .. user .. after_user, id) end
  elseif node then
    local leases_key = before_user .. user .. after_user
    local stays = held_on[i] == node
    local is_live = stays and all_live[node] or lease_end(leases_key, id, now)
    if stays and not raised[i] and not marked[i] then
      call('PEXPIRE', record_key, record_ttl_ms)
    else
      local started, rest = now, each > 2 and args[at + 2] or ''
      if held_on[i] then
        local _, known, _, rest_at = match(records[i], LEASE_RECORD)
        started, rest = known, string.sub(records[i], rest_at)
        if raised[i] then rest = raise_attempt(rest, raised[i]) end
        if marked[i] then rest = mark_urgent(rest) end
        if not stays then leave_node(node_leases_prefix, held_on[i], user, id) end
      end
      records[i] = LEASE_MARK .. user .. ' ' .. started .. ' ' .. node .. ' ' .. rest
      call('SET', record_key, records[i], 'PX', record_ttl_ms)
    end
    local added = write('ZADD', leases_key, expires, id)
    outcomes[i] = is_live and added == 0 and RENEWED or REREGISTERED
  end
end

local reply = { tonumber(expires), table.concat(outcomes) }
if wants_records then
  for i = 1, total do reply[i + 2] = nodes[i] and records[i] or '' end
end
return reply
