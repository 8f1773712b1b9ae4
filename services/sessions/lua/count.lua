-- Counts the sessions of a user, and reads the limits that are stored for the user.
-- Returns  { live leases, external sessions that are no leases (-1 where the switch's key is of
--            another type), own limit or '', temporary limit or '' }
local leases_key = KEYS[1]
local external_key = KEYS[2]
local limit_key = KEYS[3]
local temporary_limit_key = KEYS[4]

-- include now

local leases, external = 0, 0
-- include count

local limits = redis.call('MGET', limit_key, temporary_limit_key)
return { leases, external, limits[1] or '', limits[2] or '' }
