-- Looks at what Redis is set to, and which commands it refuses of those that only lists, limits,
-- sweeps and reports use. What an admission needs is the probe's business.
-- Returns  { what it does when its memory is full, '' where that is not known; `cluster` for a node
--            of a Cluster, else `standalone` or ''; the commands that Redis refuses ... }
local key = KEYS[1] -- of no other use; it is gone afterwards
local MEMBER = 'probe'

local refused = {}

local function try (command, ...)
  local reply = redis.pcall(command, ...)
  local kind = type(reply) == 'table' and reply.err and string.match(reply.err, '^%-?(%u+)')
  if kind == 'ERR' or kind == 'NOPERM' then refused[#refused + 1] = string.lower(command) end
end

try('DEL', key)
try('SADD', key, MEMBER)
try('SMISMEMBER', key, MEMBER)
try('SSCAN', key, '0')
redis.pcall('DEL', key)
try('HSET', key, MEMBER, '1')
try('HGET', key, MEMBER)
try('HGETALL', key)
try('HDEL', key, MEMBER)
redis.pcall('DEL', key)
try('INCR', key)
redis.pcall('DEL', key)
try('ZCARD', key)
try('ZRANGE', key, '0', '-1')
try('ZREMRANGEBYSCORE', key, '-inf', '+inf')
try('ZSCAN', key, '0')
try('SCAN', '0', 'COUNT', '1')
try('INFO', 'memory')

local memory, server = redis.pcall('INFO', 'memory'), redis.pcall('INFO', 'server')
local policy = type(memory) == 'string' and string.match(memory, 'maxmemory_policy:([%w-]+)')
local mode = type(server) == 'string' and string.match(server, 'redis_mode:(%a+)')
return { policy or '', mode or '', unpack(refused) }
