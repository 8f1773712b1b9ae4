-- Counts a request of a caller in its window, which begins with the caller's first request.
-- Returns  { requests in the window so far, this one included; ms until the window ends }
local count_key = KEYS[1]
local window_ms = tonumber(ARGV[1])

local count = redis.call('INCR', count_key)
local left_ms = redis.call('PTTL', count_key)
if left_ms < 0 then
  left_ms = window_ms
  redis.call('PEXPIRE', count_key, left_ms)
end
return { count, left_ms }
