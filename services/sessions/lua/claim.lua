-- Notes, in a cluster, which user holds a session id, unless another user holds it.
-- Returns  { the user that holds it now, 1 if nobody held it before, else 0 }
local holder_key = KEYS[1]
local user = ARGV[1]
local claim_ttl_ms = ARGV[2]
local replaceable = ARGV[3] -- a user whose claim may be replaced; '' for nobody

local stored = redis.pcall('GET', holder_key)
local holder = type(stored) == 'string' and stored
if holder and holder ~= user and (replaceable == '' or holder ~= replaceable) then
  return { holder, 0 }
end
redis.call('SET', holder_key, user, 'PX', claim_ttl_ms)
return { user, holder and 0 or 1 }
