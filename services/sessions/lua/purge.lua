-- Removes what is left of expired leases of users, and tells which those were. Their slots were free before: no count
-- sees a lease beyond its end. In a cluster a call is about one user.
-- KEYS  user-leases of each user
-- ARGV  1 the most to remove, 2 what session-lease keys of the users begin with, 3 what node-leases keys
--       begin with ('' where out of reach), then each user
-- Returns  for each user the ids that were removed; as many as may be removed in all when there may be more
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, left = {}, tonumber(ARGV[1])
for i, leases in ipairs(KEYS) do
  local gone = redis.pcall('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, left)
  if gone.err then gone = {} end
  left = left - #gone
  for _, id in ipairs(gone) do
    redis.call('ZREM', leases, id)
    local record = ARGV[3] ~= '' and redis.pcall('GET', ARGV[2] .. id)
    local node = type(record) == 'string' and string.match(record, '^%+%S* %d+ (%S+)')
    if node then redis.pcall('ZREM', ARGV[3] .. node, ARGV[i + 3] .. ' ' .. id) end
  end
  all[i] = gone
end
return all
