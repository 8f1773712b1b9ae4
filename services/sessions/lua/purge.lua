-- Removes leases that have expired. Their slots are free already, because no count includes a lease
-- after its end. In a cluster, where the keys of one user share a slot, a call is about one user.
-- Returns  the ids that were removed, for each user; there may be more when they are as many as may
--          be removed
local users_leases = KEYS -- the key of each user's leases
local most = tonumber(ARGV[1]) -- how many leases may be removed
-- Until when they may be removed, by the clock of Redis; '' for any time. It may have been set, and
-- leases seem to have expired that have not.
local deadline = ARGV[2]

-- include now
-- include in-time

local removed = {}
for i, leases_key in ipairs(users_leases) do
  local expired = redis.pcall('ZRANGEBYSCORE', leases_key, '-inf', now, 'LIMIT', 0, most)
  if expired.err then expired = {} end
  most = most - #expired
  if #expired > 0 then redis.call('ZREM', leases_key, unpack(expired)) end
  removed[i] = expired
end
return removed
