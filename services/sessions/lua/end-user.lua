-- Notes until when the sessions of a user have to have begun that have ended, so that a replica
-- which was away does not bring them back. They are ended one by one afterwards.
-- Returns  that instant in ms
local user_end_key = KEYS[1]
-- When that was by a clock of Redis; nil for now. That clock may have been set since, or be that of
-- another master.
local at_ms = tonumber(ARGV[1])
local ago_ms = tonumber(ARGV[2]) -- how long ago that was, by a steady clock
local includes_emergency = ARGV[3] == '1'
local memory_ms = ARGV[4] -- for how long a session can be live that began by then
local deadline = ARGV[5] -- until when it may be noted, by the clock of Redis; '' for any time

local CLOCK_ERROR_MS = 2000 -- how far the steady clock may be off, and its reading

-- include now
-- include in-time
-- include user-end

-- Where the clock was set back since, or is behind, calls may be up that began by `at_ms`. Where it
-- was set forward, those that were ended began by the time of before.
local at = at_ms or now
if at > now - ago_ms + CLOCK_ERROR_MS then at = now - ago_ms end
at = math.min(at, now)
local stored = redis.pcall('GET', user_end_key)
local ordinary, all = string.match(type(stored) == 'string' and stored or '', USER_END)
ordinary = math.max(tonumber(ordinary) or 0, at)
all = tonumber(all) or 0
if includes_emergency then all = math.max(all, at) end
redis.call('SET', user_end_key, string.format('%d %d', ordinary, all), 'PX', memory_ms)
return at
