-- Stores a change of the policy; a key of another type, which nobody could read as a policy, is replaced.
-- KEYS  1 the policy hash
-- ARGV  field, value, field, value, ...
-- Returns the number of fields that were new.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
return redis.call('HSET', KEYS[1], unpack(ARGV))
