-- Removes an API key. The version changes in the same step: replicas read the keys again only then,
-- and one that was revoked and stays in use elsewhere could not be revoked any more.
-- Returns  1, or 0 where there was no such key
local keys_key = KEYS[1] -- a field for each key, and one for the version
local id = ARGV[1]
local version_field = ARGV[2]
local version = ARGV[3]

local removed = redis.call('HDEL', keys_key, id)
-- The version changes where the key was gone already, too: whoever knows it learns that.
redis.call('HSET', keys_key, version_field, version)
return removed
