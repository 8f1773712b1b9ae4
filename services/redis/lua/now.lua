-- The time by the clock of Redis: the one clock that every replica of the service shares.
-- Gives  now: milliseconds since the epoch, a whole number
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
