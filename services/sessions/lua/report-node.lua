-- Notes that a switch node has reported, unless its epoch goes backwards.
-- KEYS  1 the hash of nodes
-- ARGV  1 node, 2 epoch
-- Returns  { 1, now in ms } | { 0, the epoch that is known }
local known = redis.call('HGET', KEYS[1], ARGV[1])
local epoch = known and string.match(known, '^(%d+) ')
if epoch and tonumber(epoch) > tonumber(ARGV[2]) then return { 0, epoch } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now))
return { 1, now }
