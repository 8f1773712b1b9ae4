-- Puts back leases that were decided on, or are known, while Redis was away or had lost them: without the limit, for
-- the calls are up. A lease that is held already only ever gets longer; an id that has ended stays so.
-- KEYS  session-lease of the id, user-leases of the user: two for each session
-- ARGV  1 how much longer than its lease a record is kept in ms, 2 what node-leases keys begin with ('' where out of
--       reach), then user, id, remaining ms, started ms, node, details for each session
-- Returns  for each session 1 restored, 4 another user holds the id, 5 it has ended
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function restore (record_key, leases_key, user, id, remaining, started, node, details)
  local found = redis.pcall('GET', record_key)
  local state, holder = string.match(type(found) == 'string' and found or '', '^([+-])(%S*)')
  if state == '-' then return 5 end
  if state and holder ~= user and redis.call('PTTL', record_key) > tonumber(ARGV[1]) then return 4 end
  if state and holder == user then
    redis.call('PEXPIRE', record_key, remaining + ARGV[1], 'GT')
  else
    redis.call('SET', record_key, '+' .. user .. ' ' .. started .. ' ' .. node .. ' ' .. details, 'PX', remaining + ARGV[1])
  end
  if type(redis.pcall('ZCARD', leases_key)) == 'table' then redis.call('DEL', leases_key) end
  redis.call('ZADD', leases_key, 'GT', now + remaining, id)
  if node ~= '' and ARGV[2] ~= '' then
    local index = ARGV[2] .. node
    if type(redis.pcall('ZCARD', index)) == 'table' then redis.call('DEL', index) end
    redis.call('ZADD', index, 'GT', now + remaining, user .. ' ' .. id)
  end
  return 1
end

local reply = {}
for i = 1, #KEYS / 2 do
  local at = 3 + (i - 1) * 6
  reply[i] = restore(KEYS[2 * i - 1], KEYS[2 * i], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
end
return reply
