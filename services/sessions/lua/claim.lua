-- Notes, in a cluster, which user holds a session id, unless another user holds it. What a user
-- has claimed for longer stays so: whether this claim leads to a lease is not known yet.
-- Returns  { the user that holds it now, whose it was before: NOBODYS, OWN or ANOTHERS, and for how
--          many ms yet }
local holder_key = KEYS[1]
local user = ARGV[1]
local claim_ttl_ms = tonumber(ARGV[2])
local replaceable = ARGV[3] -- a user whose claim may be replaced; '' for nobody

local NOBODYS, OWN, ANOTHERS = 0, 1, 2

local stored = redis.pcall('GET', holder_key)
local holder = type(stored) == 'string' and stored
local before = not holder and NOBODYS or holder == user and OWN or ANOTHERS
if before == ANOTHERS and (replaceable == '' or holder ~= replaceable) then
  return { holder, ANOTHERS }
end
local left_ms = holder and redis.call('PTTL', holder_key) or 0
if before == OWN then claim_ttl_ms = math.max(claim_ttl_ms, left_ms) end
redis.call('SET', holder_key, user, 'PX', claim_ttl_ms)
return { user, before, left_ms }
