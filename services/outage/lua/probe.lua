-- Shows that Redis serves, writes included, and tells whether its data is the same as before: a
-- Redis that was flushed, or came back empty, begins another generation.
-- Returns  { the generation; how long ago it began, in ms; which server process answers, '' where
--            that is not known }
local generation_key = KEYS[1]
local new_name = ARGV[1] -- for the generation that begins where there is none

-- include now

local generation = redis.pcall('GET', generation_key)
local begun = type(generation) == 'string' and string.match(generation, ' (%d+)$')
if not begun then
  begun = string.format('%d', now)
  generation = new_name .. ' ' .. begun
end
redis.call('SET', generation_key, generation)
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)')
return { generation, now - begun, server or '' }
