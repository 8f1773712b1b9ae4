-- Notes one part of a report that a switch node sends in parts. The first part begins a report. The
-- others have to come in their order, and the last one that came may come again.
-- Returns  { NOTED, how many sessions the parts have given, when the first part came in ms }
--          { INCOMPLETE }: a part is missing, or the parts are not of one report
local part_key = KEYS[1] -- `<epoch> <parts> <last part> <given> <given before it> <first in ms>`
local epoch = ARGV[1]
local part = tonumber(ARGV[2])
local parts = ARGV[3]
local given = tonumber(ARGV[4]) -- how many sessions this part gives
local age_ms = tonumber(ARGV[5]) -- how long ago the list was taken
local kept_ms = ARGV[6]
local deadline = ARGV[7] -- until when it may be noted, by the clock of Redis; '' for any time

-- include outcomes
-- include now
-- include in-time

local before, first = 0, now - age_ms
if part > 1 then
  local stored = redis.pcall('GET', part_key)
  local pattern = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$'
  local text = type(stored) == 'string' and stored or ''
  local its_epoch, its_parts, last, total, total_before, its_first = string.match(text, pattern)
  if its_epoch ~= epoch or its_parts ~= parts then return { INCOMPLETE } end
  if tonumber(last) == part - 1 then
    before = tonumber(total)
  elseif tonumber(last) == part then
    before = tonumber(total_before)
  else
    return { INCOMPLETE }
  end
  first = tonumber(its_first)
end
local numbers = string.format('%d %d %d %d', part, before + given, before, first)
redis.call('SET', part_key, epoch .. ' ' .. parts .. ' ' .. numbers, 'PX', kept_ms)
return { NOTED, before + given, first }
