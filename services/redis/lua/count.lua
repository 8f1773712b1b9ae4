-- Counts the sessions of a user. A session that is both a lease and external counts as a lease.
-- Needs  now, leases_key, external_key, lease_end
-- Gives  leases: live leases; external: external sessions that are no leases, and -1 where the
--        switch's key is of another type
local leases, external = 0, 0
-- Most users who are counted have no session: one look at both keys spares a look into each.
if redis.call('EXISTS', leases_key, external_key) > 0 then
  leases = redis.pcall('ZCOUNT', leases_key, '(' .. now, '+inf')
  if type(leases) ~= 'number' then leases = 0 end
  external = redis.pcall('SCARD', external_key)
  if type(external) ~= 'number' then external = -1 end
  if leases > 0 and external > 0 then
    for _, member in ipairs(redis.call('SMEMBERS', external_key)) do
      if lease_end(leases_key, member, now) then external = external - 1 end
    end
  end
end
