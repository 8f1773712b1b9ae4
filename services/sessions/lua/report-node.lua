-- Notes that a switch node has reported. A lower epoch than the last one is refused while the node
-- has been heard of within the time to live of its last report, and taken after that. What is noted
-- expires by itself when the node is not heard of for a day.
-- Returns  { NOTED, now in ms } or { STALE_EPOCH, the last epoch }
local epoch_key = KEYS[1] -- `<epoch> <last seen in ms> <ttl in ms>`
local epoch = ARGV[1]
local ttl_ms = ARGV[2]
local kept_ms = ARGV[3]
local deadline = ARGV[4] -- until when it may be noted, by the clock of Redis; '' for any time

-- include outcomes
-- include now
-- include in-time

local stored = redis.pcall('GET', epoch_key)
local pattern = '^(%d+) (%d+) (%d+)$'
local last_epoch, seen, last_ttl = string.match(type(stored) == 'string' and stored or '', pattern)
if last_epoch and tonumber(last_epoch) > tonumber(epoch) then
  local since_ms = now - seen -- below 0 where the clock was set back
  if since_ms >= 0 and since_ms < tonumber(last_ttl) then return { STALE_EPOCH, last_epoch } end
end
local noted = epoch .. ' ' .. string.format('%d', now) .. ' ' .. ttl_ms
redis.call('SET', epoch_key, noted, 'PX', kept_ms)
return { NOTED, now }
