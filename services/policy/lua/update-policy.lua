-- Stores changes of the policy.
-- Returns  all fields of the policy and their values, one after the other
local policy_key = KEYS[1]
local deadline = ARGV[1]
local fields_and_values = ARGV -- from the 2nd on

-- include now
-- include in-time
-- include replace

write('HSET', policy_key, unpack(fields_and_values, 2))
return redis.call('HGETALL', policy_key)
