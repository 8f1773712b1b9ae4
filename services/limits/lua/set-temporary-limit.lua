-- Sets a temporary limit, which expires by itself.
-- Returns  when it expires, in ms since the epoch
local temporary_limit_key = KEYS[1]
local deadline = ARGV[1]
local limit = ARGV[2]
local duration_ms = ARGV[3]
local reason = ARGV[4] -- may be empty

-- include now
-- include in-time

local expires = now + duration_ms
local value = limit .. ' ' .. string.format('%d', expires) .. ' ' .. reason
redis.call('SET', temporary_limit_key, value, 'PX', duration_ms)
return expires
