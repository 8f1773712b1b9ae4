-- Counts the sessions of one user, and reads the limits that hold for it.
-- KEYS  1 user-leases, 2 user-sessions, 3 user-limit, 4 user-temporary-limit of the user
-- Returns  { live leases, external sessions that are not leases too, own limit or '', temporary limit or '' }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local leases = redis.pcall('ZCOUNT', KEYS[1], '(' .. now, '+inf')
if type(leases) ~= 'number' then leases = 0 end
local external = redis.pcall('SCARD', KEYS[2])
if type(external) ~= 'number' then external = -1 end
if external > 0 and leases > 0 then
  for _, member in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    local score = redis.call('ZSCORE', KEYS[1], member)
    if score and tonumber(score) > now then external = external - 1 end
  end
end
local kept = redis.call('MGET', KEYS[3], KEYS[4])
return { leases, external, kept[1] or '', kept[2] or '' }
