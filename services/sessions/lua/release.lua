-- Ends a session, and remembers that it has ended, so that a late acquire or renewal does not bring
-- it back.
-- Returns  { RELEASED } or { UNKNOWN }; in a cluster with the record, because the index of its node
--            is for the caller to update
--          { CONFLICT }: another user holds the id
--          { UNMET }: a condition of the caller does not hold
local KEYS, ARGV = KEYS, ARGV -- a local costs less than a global
local record_key = KEYS[1]
local leases_key = KEYS[2]
local external_key = KEYS[3]
local user = ARGV[1]
local id = ARGV[2]
local reason = ARGV[3]
local ended_ttl_ms = ARGV[4] -- how long an id that has ended is remembered
local node_leases_prefix = ARGV[5] -- '' in a cluster
local record_grace_ms = ARGV[6] -- how much longer than its lease a record is kept
local only_node = ARGV[7] -- only a session of this node; '' for any
local only_started_by_ms = ARGV[8] -- of that node only a session that started by then
local remember_unknown = ARGV[9] == '1' -- an id that is not known has ended, too
local only_untouched_ttl_ms = ARGV[10] -- only a lease of this length, never renewed; '' for any

-- include outcomes
-- include now
-- include record
-- include lease-end
-- include leave-node

local call, pcall = redis.call, redis.pcall
local stored = pcall('GET', record_key)
local record = type(stored) == 'string' and stored or ''
if string.sub(record, 1, 1) == ENDED_MARK then return { UNKNOWN } end
local holder, started, node = string.match(record, LEASE_RECORD)
if holder and holder ~= user then
  -- A record outlives its lease: the id is free when the lease has ended.
  if call('PTTL', record_key) > tonumber(record_grace_ms) then return { CONFLICT } end
  holder, node = nil, nil
end
if holder and only_node ~= '' then
  if node ~= only_node or tonumber(started) > tonumber(only_started_by_ms) then return { UNMET } end
end

local ends = lease_end(leases_key, id, now)
if only_untouched_ttl_ms ~= '' then
  local is_untouched = ends and holder and ends - started == tonumber(only_untouched_ttl_ms)
  if not is_untouched then return { UNMET } end
end
pcall('ZREM', leases_key, id)
local was_external = pcall('SREM', external_key, id) == 1
if node then leave_node(node_leases_prefix, node, user, id) end

local outcome = (ends or was_external) and RELEASED or UNKNOWN
if outcome == UNKNOWN and not remember_unknown then return { UNKNOWN } end
local remembered_ms = ended_ttl_ms
if ends and ends - now > tonumber(ended_ttl_ms) then remembered_ms = ends - now end
call('SET', record_key, ENDED_MARK .. user .. ' ' .. reason, 'PX', remembered_ms)
if node_leases_prefix ~= '' then return { outcome } end
return { outcome, record }
