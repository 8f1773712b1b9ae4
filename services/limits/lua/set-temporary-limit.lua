-- Sets a temporary limit that ends by itself, by the clock of Redis.
-- KEYS  1 user-temporary-limit of the user
-- ARGV  1 limit, 2 duration in milliseconds, 3 reason (may be empty)
-- Returns the end, in milliseconds since the epoch.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%.0f', ends) .. ' ' .. ARGV[3], 'PX', ARGV[2])
return ends
