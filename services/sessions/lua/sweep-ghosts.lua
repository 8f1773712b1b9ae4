-- Removes ghosts: members of a user's set whose session is gone. Looks and removes in one step, so that a
-- session which the switch records meanwhile is not lost.
-- KEYS  1 user-sessions of the user, 2.. session:<id> for each member in ARGV
-- ARGV  the members to look at, in the order of KEYS from 2 on
-- Returns how many were removed.
local ghosts = {}
for i, member in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then ghosts[#ghosts + 1] = member end
end
if #ghosts == 0 then return 0 end
return redis.call('SREM', KEYS[1], unpack(ghosts))
