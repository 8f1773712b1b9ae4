-- Counts one request of a caller in its window, which begins with the first.
-- KEYS  1 request-count of the caller
-- ARGV  1 length of the window in milliseconds
-- Returns  { requests in the window, this one included; how long the window lasts yet, in milliseconds }
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], left)
end
return { count, left }
