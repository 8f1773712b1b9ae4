-- Shortens leases that were taken before the clock of Redis was set back: they would last as much
-- longer as the clock was set back by. In a cluster, where the keys of one user share a slot, a
-- call is about one user.
-- Returns  how many leases were shortened
local users_leases = KEYS -- the key of each user's leases
local back_ms = tonumber(ARGV[1]) -- by how much the clock was set back
local record_prefix = ARGV[2]
local record_grace_ms = tonumber(ARGV[3]) -- how much longer than its lease a record is kept
local SLACK_MS = 5000 -- how far the step may have been measured wrong, and time gone on since
local MOST = 500 -- for each user

-- include now

local shortened = 0
for _, leases_key in ipairs(users_leases) do
  local from = string.format('%d', now + back_ms - SLACK_MS)
  local found =
    redis.pcall('ZRANGEBYSCORE', leases_key, from, '+inf', 'WITHSCORES', 'LIMIT', 0, MOST)
  for i = 1, #found, 2 do
    local ends = string.format('%d', found[i + 1] - back_ms)
    redis.call('ZADD', leases_key, 'XX', ends, found[i])
    redis.call('PEXPIRE', record_prefix .. found[i], math.max(1, ends - now + record_grace_ms))
    shortened = shortened + 1
  end
end
return shortened
