-- Removes what is left of expired leases of one user, and tells which those were. Their slots were free before: no
-- count sees a lease beyond its end.
-- KEYS  1 user-leases of the user
-- ARGV  1 user, 2 the most to remove, 3 what session-lease keys of the user begin with, 4 what node-leases keys begin
--       with ('' where out of reach)
-- Returns  the ids that were removed
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gone = redis.pcall('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
if gone.err then return {} end
for _, id in ipairs(gone) do
  redis.call('ZREM', KEYS[1], id)
  local record = ARGV[4] ~= '' and redis.pcall('GET', ARGV[3] .. id)
  local node = type(record) == 'string' and string.match(record, '^%+%S* %d+ (%S+)')
  if node then redis.pcall('ZREM', ARGV[4] .. node, ARGV[1] .. ' ' .. id) end
end
return gone
