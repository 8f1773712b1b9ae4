-- Removes ghosts: external sessions whose own key is gone. Looks and removes in one step, so that a
-- session which the switch records at the same time is not lost.
-- Returns  how many were removed
local external_key = KEYS[1]
local keys = KEYS -- from the 2nd on: the key of each session
local ids = ARGV -- the sessions to look at, in the order of their keys

local ghosts = {}
for i, id in ipairs(ids) do
  if redis.call('EXISTS', keys[i + 1]) == 0 then ghosts[#ghosts + 1] = id end
end
if #ghosts == 0 then return 0 end
return redis.call('SREM', external_key, unpack(ghosts))
