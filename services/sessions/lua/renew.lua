-- Prolongs leases, one or many; what is unknown is registered again, even over the limit, for the switch says that the
-- call is up. All keys of one call lie in one slot: in a cluster a call is about one user.
-- KEYS  session-lease of the id, user-leases of the user: two for each session
-- ARGV  1 time to live in ms, 2 how much longer the record is kept in ms, 3 how long an ended id is remembered in ms,
--       4 what node-leases keys begin with ('' where out of reach), then user, id, node, details for each session
-- Returns  for each session: code, record; 1 renewed, 2 registered again, 4 another user holds the id, 5 it has ended;
--          before them the end of the leases in ms
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires, kept = now + ARGV[1], ARGV[1] + ARGV[2]

-- Notes a lease in the index of its node. A key of another type, which nobody could read, is replaced.
local function note (index, member)
  if type(redis.pcall('ZADD', index, expires, member)) == 'table' then
    redis.call('DEL', index)
    redis.call('ZADD', index, expires, member)
  end
end

local function renew (record_key, leases_key, user, id, node, details)
  local found = redis.pcall('GET', record_key)
  local record = type(found) == 'string' and found or ''
  if string.sub(record, 1, 1) == '-' then
    redis.call('PEXPIRE', record_key, ARGV[3], 'GT')
    return 5, ''
  end
  local holder, started, held_by, rest = string.match(record, '^%+(%S+) (%d+) (%S*) (.*)$')
  if holder and holder ~= user then
    if redis.call('PTTL', record_key) > tonumber(ARGV[2]) then return 4, '' end
    holder = nil
  end
  local score = redis.pcall('ZSCORE', leases_key, id)
  if type(score) == 'table' then
    redis.call('DEL', leases_key)
    score = false
  end
  if node == '' and holder then node = held_by end
  if holder and node == held_by then
    redis.call('PEXPIRE', record_key, kept)
  else
    record = '+' .. user .. ' ' .. (holder and started or now) .. ' ' .. node .. ' ' .. (holder and rest or details)
    redis.call('SET', record_key, record, 'PX', kept)
    if holder and held_by ~= '' and ARGV[4] ~= '' then redis.pcall('ZREM', ARGV[4] .. held_by, user .. ' ' .. id) end
  end
  redis.call('ZADD', leases_key, expires, id)
  if node ~= '' and ARGV[4] ~= '' then note(ARGV[4] .. node, user .. ' ' .. id) end
  return (score and tonumber(score) > now) and 1 or 2, record
end

local reply = { expires }
for i = 1, #KEYS / 2 do
  local at = 5 + (i - 1) * 4
  local code, record = renew(KEYS[2 * i - 1], KEYS[2 * i], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  reply[#reply + 1] = code
  reply[#reply + 1] = record
end
return reply
