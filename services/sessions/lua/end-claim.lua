-- Remembers, in a cluster, that a session id has ended which nobody holds. A user who has claimed
-- the id meanwhile keeps it.
-- Returns  1 when it is remembered, else 0
local holder_key = KEYS[1]
local ended_record = ARGV[1]
local ended_ttl_ms = ARGV[2]

-- include record

local stored = redis.pcall('GET', holder_key)
local holder = type(stored) == 'string' and stored or ''
if holder ~= '' and string.sub(holder, 1, 1) ~= ENDED_MARK then return 0 end
redis.call('SET', holder_key, ended_record, 'PX', ended_ttl_ms)
return 1
