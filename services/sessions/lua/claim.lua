-- Notes, in a cluster, whose session an id is, unless it is another user's.
-- KEYS  1 session-holder of the id
-- ARGV  1 user, 2 how long that is remembered in ms, 3 a user who may be replaced, '' for nobody
-- Returns  { whose it is now, '1' if it was nobody's before }
local holder = redis.pcall('GET', KEYS[1])
if type(holder) ~= 'string' then holder = nil end
if holder and holder ~= ARGV[1] and (ARGV[3] == '' or holder ~= ARGV[3]) then return { holder, '' } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { ARGV[1], holder and '' or '1' }
