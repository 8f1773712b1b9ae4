-- Sets and removes limits, own or temporary ones. Setting comes first: a full Redis refuses the
-- first of it, and with it the whole call.
-- Returns  { how many were set, how many were there and were removed }
local keys = KEYS
local deadline = ARGV[1]
local values = ARGV -- from the 2nd on, for each key; '' to remove it

-- include now
-- include in-time

local set, removed = 0, 0
for i, key in ipairs(keys) do
  if values[i + 1] ~= '' then
    redis.call('SET', key, values[i + 1])
    set = set + 1
  end
end
for i, key in ipairs(keys) do
  if values[i + 1] == '' then removed = removed + redis.call('DEL', key) end
end
return { set, removed }
