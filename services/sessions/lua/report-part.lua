-- Notes one part of a report that a switch node sends in parts. The first part begins a report. The
-- others have to come in their order, and the last one that came may come again.
-- Returns  { NOTED, how many sessions the parts have given, when the first part came in ms,
--            how many they mean to give, or -1 where none of them said }
--          { INCOMPLETE }: a part is missing, or the parts are not of one report
-- `<epoch> <parts> <last part> <given> <given before it> <first in ms>`, and ` <total>` if known
local part_key = KEYS[1]
local epoch = ARGV[1]
local part = tonumber(ARGV[2])
local parts = ARGV[3]
local given = tonumber(ARGV[4]) -- how many sessions this part gives
local age_ms = tonumber(ARGV[5]) -- how long ago the list was taken
local kept_ms = ARGV[6]
local total = tonumber(ARGV[7]) -- how many sessions all parts mean to give; nil if unsaid
local deadline = ARGV[8] -- until when it may be noted, by the clock of Redis; '' for any time

-- include outcomes
-- include now
-- include in-time

local before, first = 0, now - age_ms
if part > 1 then
  local stored = redis.pcall('GET', part_key)
  local pattern = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ?(%d*)$'
  local text = type(stored) == 'string' and stored or ''
  local its_epoch, its_parts, last, so_far, so_far_before, its_first, its_total =
    string.match(text, pattern)
  if its_epoch ~= epoch or its_parts ~= parts then return { INCOMPLETE } end
  if tonumber(last) == part - 1 then
    before = tonumber(so_far)
  elseif tonumber(last) == part then
    before = tonumber(so_far_before)
  else
    return { INCOMPLETE }
  end
  first = tonumber(its_first)
  total = total or tonumber(its_total)
end
local numbers = string.format('%d %d %d %d', part, before + given, before, first)
if total then numbers = numbers .. string.format(' %d', total) end
redis.call('SET', part_key, epoch .. ' ' .. parts .. ' ' .. numbers, 'PX', kept_ms)
return { NOTED, before + given, first, total or -1 }
