-- Puts back leases that were granted while Redis was away, or that Redis has lost. The limit does
-- not matter, because the calls are up. A lease that is held already never gets shorter, and an id
-- that has ended stays ended.
-- Returns  the outcome for each session: RESTORED, CONFLICT (another user holds the id), ENDED
local keys = KEYS -- for each session: its record, and the leases of its user
local record_grace_ms = ARGV[1] -- how much longer than its lease a record is kept
local node_leases_prefix = ARGV[2] -- '' in a cluster
local args = ARGV -- from the 3rd on, for each session: user, id, ms left, started ms, node, details

-- include outcomes
-- include now
-- include record
-- include enter-node

local call = redis.call

local function restore (record_key, leases_key, user, id, left_ms, started, node, details)
  local stored = redis.pcall('GET', record_key)
  local record = type(stored) == 'string' and stored or ''
  if string.sub(record, 1, 1) == ENDED_MARK then return ENDED end
  local holder = string.match(record, LEASE_RECORD)
  if holder and holder ~= user and call('PTTL', record_key) > tonumber(record_grace_ms) then
    return CONFLICT
  end
  local record_ttl_ms = left_ms + record_grace_ms
  if holder == user then
    call('PEXPIRE', record_key, record_ttl_ms, 'GT')
  else
    local new_record = LEASE_MARK .. user .. ' ' .. started .. ' ' .. node .. ' ' .. details
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
