-- Shows that Redis serves, writes included, and tells one generation of data from the next: a Redis that was flushed,
-- or came back empty, has another. What nobody could read is replaced.
-- KEYS  1 the generation of the data
-- ARGV  1 a name for the generation to begin, where there is none
-- Returns { the generation, how long ago it began in ms, which server process answers ('' where that is not to be known) }.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local generation = redis.pcall('GET', KEYS[1])
local begun = type(generation) == 'string' and string.match(generation, ' (%d+)$')
if not begun then
  begun = string.format('%.0f', now)
  generation = ARGV[1] .. ' ' .. begun
end
redis.call('SET', KEYS[1], generation)
local info = redis.pcall('INFO', 'server')
return { generation, now - begun, type(info) == 'string' and string.match(info, 'run_id:(%x+)') or '' }
