-- Bars a user, until an instant or without an end.
-- Returns  NOTED, or UNMET where that instant is over: nothing is changed then
local bar_key = KEYS[1]
local deadline = ARGV[1]
local bar = ARGV[2]
local ends_ms = tonumber(ARGV[3]) -- 0 for a bar without an end

-- include outcomes
-- include now
-- include in-time

if ends_ms == 0 then
  redis.call('SET', bar_key, bar)
  return NOTED
end
if ends_ms <= now then return UNMET end
redis.call('SET', bar_key, bar, 'PXAT', ends_ms)
return NOTED
