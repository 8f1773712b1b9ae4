-- Stores changes of the policy.
-- Returns  how many fields were new
local policy_key = KEYS[1]
local fields_and_values = ARGV

-- include replace

return write('HSET', policy_key, unpack(fields_and_values))
