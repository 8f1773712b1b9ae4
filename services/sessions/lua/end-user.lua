-- Notes until when the sessions of a user have to have begun that have ended, so that a replica
-- which was away does not bring them back. They are ended one by one afterwards.
-- Returns  that instant in ms; 0 for one that lies in the future: the clock was set back, and the
--          caller does not know it yet
local user_end_key = KEYS[1]
local at_ms = tonumber(ARGV[1]) -- nil for now
local includes_emergency = ARGV[2] == '1'
local memory_ms = ARGV[3] -- for how long a session can be live that began by then
local deadline = ARGV[4] -- until when it may be noted, by the clock of Redis; '' for any time

-- How far the clock may be off from what the caller knows of it: that of another master, perhaps.
local CLOCK_ERROR_MS = 60000

-- include now
-- include in-time
-- include user-end

if at_ms and at_ms > now + CLOCK_ERROR_MS then return 0 end
local at = math.min(at_ms or now, now)
local stored = redis.pcall('GET', user_end_key)
local ordinary, all = string.match(type(stored) == 'string' and stored or '', USER_END)
ordinary = math.max(tonumber(ordinary) or 0, at)
all = tonumber(all) or 0
if includes_emergency then all = math.max(all, at) end
redis.call('SET', user_end_key, string.format('%d %d', ordinary, all), 'PX', memory_ms)
return at
