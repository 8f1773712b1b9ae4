-- Notes that a switch node has reported, unless the epoch of its report is lower than the last one.
-- Returns  { NOTED, now in ms } or { STALE_EPOCH, the last epoch }
local nodes_key = KEYS[1]
local node = ARGV[1]
local epoch = ARGV[2]

-- include outcomes
-- include now
-- include replace

local stored = redis.pcall('HGET', nodes_key, node)
local last_epoch = type(stored) == 'string' and string.match(stored, '^(%d+) %d+$')
if last_epoch and tonumber(last_epoch) > tonumber(epoch) then return { STALE_EPOCH, last_epoch } end
write('HSET', nodes_key, node, epoch .. ' ' .. string.format('%d', now))
return { NOTED, now }
