-- Puts back leases that were granted while Redis was away, or that Redis has lost. The limit does
-- not matter, because the calls are up. A lease that is held already never gets shorter, and an id
-- that has ended stays ended, unless the lease is of a later attempt.
-- Returns  the outcome for each session: RESTORED, CONFLICT (another user holds the id), ENDED
--          (this attempt, or a later one, has ended, or a later one is live)
local keys = KEYS -- for each session: its record, and the leases of its user
local record_grace_ms = ARGV[1] -- how much longer than its lease a record is kept
local node_leases_prefix = ARGV[2] -- '' in a cluster
-- From the 3rd on, for each session: user, id, ms left, started ms, node, the rest of its record.
local args = ARGV

-- include outcomes
-- include now
-- include record
-- include enter-node

local call = redis.call

local function restore (record_key, leases_key, user, id, left_ms, started, node, rest)
  local stored = redis.pcall('GET', record_key)
  local record = type(stored) == 'string' and stored or ''
  local attempt = tonumber(string.match(rest, '^%d+')) or 0
  local _, ended_attempt, of_node = string.match(record, ENDED_RECORD)
  local is_late = ended_attempt and attempt <= (tonumber(ended_attempt) or 0)
  if is_late and (of_node == '' or of_node == node) then return ENDED end
  local holder, _, _, _, live_attempt = string.match(record, LEASE_RECORD)
  if holder and holder ~= user and call('PTTL', record_key) > tonumber(record_grace_ms) then
    return CONFLICT
  end
  local record_ttl_ms = left_ms + record_grace_ms
  live_attempt = tonumber(live_attempt) or 0
  if holder == user and attempt < live_attempt then return ENDED end
  if holder == user and attempt == live_attempt then
    call('PEXPIRE', record_key, record_ttl_ms, 'GT')
  else
    local new_record = LEASE_MARK .. user .. ' ' .. started .. ' ' .. node .. ' ' .. rest
    call('SET', record_key, new_record, 'PX', record_ttl_ms)
  end
  write('ZADD', leases_key, 'GT', now + left_ms, id)
  enter_node(node_leases_prefix, node, user, id, now + left_ms)
  return RESTORED
end

local outcomes = {}
for i = 1, #keys / 2 do
  local at = 3 + (i - 1) * 6
  outcomes[i] = restore(keys[2 * i - 1], keys[2 * i], unpack(args, at, at + 5))
end
return outcomes
