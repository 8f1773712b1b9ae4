-- Counts the sessions of a user. A session that is both a lease and external counts as a lease.
-- Needs  now, leases_key, external_key, lease_end
-- Sets   leases: live leases; external: external sessions that are no leases, and -1 where the
--        switch's key is of another type
leases = redis.pcall('ZCOUNT', leases_key, '(' .. now, '+inf')
if type(leases) ~= 'number' then leases = 0 end
external = redis.pcall('SCARD', external_key)
if type(external) ~= 'number' then external = -1 end
if leases > 0 and external > 0 then
  for _, member in ipairs(redis.call('SMEMBERS', external_key)) do
    if lease_end(leases_key, member, now) then external = external - 1 end
  end
end
