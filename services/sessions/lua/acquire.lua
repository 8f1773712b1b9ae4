-- Takes a slot for a session, or refreshes the one it holds. Decides first and writes after, so that a full Redis
-- refuses the whole of it.
-- KEYS  1 session-lease of the id, 2 user-leases, 3 user-sessions, 4 user-limit, 5 user-temporary-limit of the user,
--       6 node-leases of the node (only where a node is named)
-- ARGV  1 user, 2 id, 3 time to live in ms, 4 how much longer the record is kept in ms, 5 node or '', 6 details,
--       7 the policy's limit, 8 at the limit: reject | terminate_oldest | observe | admit, 9 '1' for a dry run,
--       10 how long an ended id is remembered in ms, 11 what session-lease keys of the user begin with,
--       12 what node-leases keys begin with, 13 what the switch's session keys begin with ('' where out of reach)
-- Returns  { 1 admitted, count, limit, started ms, expires ms, '1' if only observed, terminated id ... }
--          { 2 refreshed, count, limit, expires ms, record }
--          { 3 limit reached, count, limit, external } | { 4 another user holds the id } | { 5 the id has ended }
local user, id = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires = now + ARGV[3]

local function limit_of (text)
  return text and string.find(text, '^%-?%d%d?%d?%d?%d?%d?%d?%d?%d?$') and tonumber(text)
end

-- How many external sessions there are; one that is a live lease too is counted as the lease.
local function count_external (leases)
  local external = redis.pcall('SCARD', KEYS[3])
  if type(external) ~= 'number' then return 0 end
  if external == 0 or leases == 0 then return external end
  for _, member in ipairs(redis.call('SMEMBERS', KEYS[3])) do
    local score = redis.call('ZSCORE', KEYS[2], member)
    if score and tonumber(score) > now then external = external - 1 end
  end
  return external
end

local held = redis.call('MGET', KEYS[1], KEYS[4], KEYS[5])
local record = held[1]
local temporary = held[3] and string.match(held[3], '^(%d+) %d+ ')
local limit = tonumber(temporary) or limit_of(held[2]) or tonumber(ARGV[7])
local leases = redis.pcall('ZCOUNT', KEYS[2], '(' .. now, '+inf')
if type(leases) ~= 'number' then
  redis.call('DEL', KEYS[2])
  leases = 0
end
local count = leases + count_external(leases)

if record then
  local state, holder = string.match(record, '^([+-])(%S*)')
  if state == '-' then
    if ARGV[9] ~= '1' then redis.call('PEXPIRE', KEYS[1], ARGV[10]) end
    return { 5 }
  elseif holder ~= user then
    if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[4]) then return { 4 } end
  else
    local score = redis.call('ZSCORE', KEYS[2], id)
    if score and tonumber(score) > now then
      if ARGV[9] ~= '1' then
        redis.call('PEXPIRE', KEYS[1], ARGV[3] + ARGV[4])
        redis.call('ZADD', KEYS[2], expires, id)
        local node = string.match(record, '^%+%S* %d+ (%S+)')
        if node and ARGV[12] ~= '' then redis.call('ZADD', ARGV[12] .. node, expires, user .. ' ' .. id) end
      end
      return { 2, count, limit, expires, record }
    end
  end
end

local over = limit > 0 and count + 1 > limit
if over and ARGV[8] == 'reject' then return { 3, count, limit, count - leases } end
local observed = over and ARGV[8] == 'observe' and '1' or ''

-- All sessions in the order in which they would have to end: leases by their start, then what the switch recorded itself.
local function oldest_first ()
  local sessions = {}
  local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'WITHSCORES')
  for i = 1, #found, 2 do
    local lease = found[i]
    local text = redis.pcall('GET', ARGV[11] .. lease)
    local start, node = string.match(type(text) == 'string' and text or '', '^%+%S* (%d+) (%S*)')
    sessions[#sessions + 1] = { id = lease, rank = 1, start = tonumber(start) or 0, node = node or '', left = found[i + 1] - now }
  end
  local external = redis.pcall('SMEMBERS', KEYS[3])
  for _, member in ipairs(external.err and {} or external) do
    local score = redis.call('ZSCORE', KEYS[2], member)
    if not (score and tonumber(score) > now) then
      local text = ARGV[13] ~= '' and redis.pcall('GET', ARGV[13] .. member)
      local start = type(text) == 'string' and string.match(text, '"created_at":%s*(%d+)')
      sessions[#sessions + 1] = { id = member, rank = 2, start = tonumber(start or 0) }
    end
  end
  table.sort(sessions, function (a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    if a.start ~= b.start then return a.start < b.start end
    return a.id < b.id
  end)
  return sessions
end

local reply = { 1, count + 1, limit, now, expires, observed }
if over and ARGV[8] == 'terminate_oldest' then
  local sessions = oldest_first()
  for i = 1, math.min(count + 1 - limit, #sessions) do
    local session = sessions[i]
    reply[#reply + 1] = session.id
    reply[2] = reply[2] - 1
    if ARGV[9] ~= '1' then
      redis.call('SET', ARGV[11] .. session.id, '-' .. user .. ' terminated', 'PX', math.max(ARGV[10], session.left or 0))
      redis.call(session.rank == 1 and 'ZREM' or 'SREM', KEYS[session.rank + 1], session.id)
      if (session.node or '') ~= '' and ARGV[12] ~= '' then
        redis.call('ZREM', ARGV[12] .. session.node, user .. ' ' .. session.id)
      end
    end
  end
end
if ARGV[9] == '1' then return reply end

redis.call('SET', KEYS[1], '+' .. user .. ' ' .. now .. ' ' .. ARGV[5] .. ' ' .. ARGV[6], 'PX', ARGV[3] + ARGV[4])
redis.call('ZADD', KEYS[2], expires, id)
if KEYS[6] then redis.call('ZADD', KEYS[6], expires, user .. ' ' .. id) end
return reply
