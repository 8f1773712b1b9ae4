-- When leases end. A function without outer locals costs a script less than one that has some.
-- Gives  lease_end(leases_key, id, now): when a live lease ends, in ms; nil where there is none
local function lease_end (leases_key, id, now)
  local score = redis.pcall('ZSCORE', leases_key, id)
  local ends = type(score) == 'string' and tonumber(score)
  if ends and ends > now then return ends end
end
