-- Notes that a switch node has reported, unless its epoch goes backwards. What nobody could read is replaced.
-- KEYS  1 the hash of nodes
-- ARGV  1 node, 2 epoch
-- Returns  { 1, now in ms } | { 0, the epoch that is known }
local known = redis.pcall('HGET', KEYS[1], ARGV[1])
if type(known) == 'table' then redis.call('DEL', KEYS[1]) end
local epoch = type(known) == 'string' and string.match(known, '^(%d+) %d+$')
if epoch and tonumber(epoch) > tonumber(ARGV[2]) then return { 0, epoch } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now))
return { 1, now }
