-- Removes leases that have expired. Their slots are free already, because no count includes a lease
-- after its end. In a cluster, where the keys of one user share a slot, a call is about one user.
-- Returns  the ids that were removed, for each user; there may be more when they are as many as may
--          be removed
local users_leases = KEYS -- the key of each user's leases
local most = tonumber(ARGV[1]) -- how many leases may be removed
local record_prefix = ARGV[2]
local node_leases_prefix = ARGV[3] -- '' in a cluster
local args = ARGV -- from the 4th on: the users, in the order of their keys

-- include now
-- include record
-- include leave-node

local removed = {}
for i, leases_key in ipairs(users_leases) do
  local user = args[3 + i]
  local expired = redis.pcall('ZRANGEBYSCORE', leases_key, '-inf', now, 'LIMIT', 0, most)
  if expired.err then expired = {} end
  most = most - #expired
  for _, id in ipairs(expired) do
    redis.call('ZREM', leases_key, id)
    local record = node_leases_prefix ~= '' and redis.pcall('GET', record_prefix .. id)
    local _, _, node = string.match(type(record) == 'string' and record or '', LEASE_RECORD)
    if node then leave_node(node_leases_prefix, node, user, id) end
  end
  removed[i] = expired
end
return removed
