-- Counts the sessions of a user. A session that is both a lease and external counts as a lease.
-- Needs  now, leases_key, external_key
-- Sets   leases: live leases; external: external sessions that are no leases, and -1 where the
--        switch's key is of another type
leases = redis.pcall('ZCOUNT', leases_key, '(' .. now, '+inf')
if type(leases) ~= 'number' then leases = 0 end
external = redis.pcall('SCARD', external_key)
if type(external) ~= 'number' then external = -1 end
if leases > 0 and external > 0 then
  -- One command, which goes through the smaller of both; the weights leave the end of each lease.
  local both =
    redis.call('ZINTER', '2', leases_key, external_key, 'WEIGHTS', '1', '0', 'WITHSCORES')
  for i = 2, #both, 2 do
    if tonumber(both[i]) > now then external = external - 1 end
  end
end
