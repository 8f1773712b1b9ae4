-- Takes a slot for a session, or refreshes the one it holds. Decides first and writes after, so that a full Redis
-- refuses the whole of it.
-- KEYS  1 session-lease of the id, 2 user-leases, 3 user-sessions, 4 user-limit, 5 user-temporary-limit of the user,
--       6 what tells the generation of the data, 7 node-leases of the node (only where a node is named); in a cluster,
--       where they lie in other slots, neither of the last two
-- ARGV  1 user, 2 id, 3 time to live in ms, 4 how long the record is kept in ms, 5 node or '', 6 details,
--       7 the policy's limit, 8 at the limit: reject | terminate_oldest | observe | admit, 9 '1' for a dry run,
--       10 how long an ended id is remembered in ms, 11 what session-lease keys of the user begin with,
--       12 what node-leases keys begin with, 13 what the switch's session keys begin with ('' where out of reach),
--       14 the generation of data that is expected ('' for any), 15 '1' when asked again for want of an answer: a lease
--       that only the first try has touched stays as it is, so that it can still be told apart
-- Returns  { 1 admitted, count, limit, started ms, 1 if only observed, terminated id ... }
--          { 2 refreshed, count, limit, expires ms, record }
--          { 3 limit reached, count, limit, external } | { 4 another user holds the id } | { 5 the id has ended }
--          { 7 another generation of data }
local user, id = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- As text, for a number costs redis.call three times as much; and by %d, which costs a third of tostring.
local expires = string.format('%d', now + ARGV[3])

local held = redis.call('MGET', KEYS[1], KEYS[4], KEYS[5], KEYS[6] or KEYS[1])
local record, own, temporary = held[1], held[2], held[3]
if ARGV[14] ~= '' and held[4] ~= ARGV[14] then return { 7 } end
temporary = temporary and string.match(temporary, '^(%d+) %d+ ')
own = own and string.find(own, '^%-?%d%d?%d?%d?%d?%d?%d?%d?%d?$') and own
local limit = tonumber(temporary or own or ARGV[7])

-- How many leases and external sessions there are, one that is both being counted as the lease; and whether, 1 or 0, the
-- one that asks is among the external ones: its slot is the one it has. Most who ask have no session yet: one look at both
-- keys spares a look into each.
local leases, external, itself = 0, 0, 0
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
  leases = redis.pcall('ZCOUNT', KEYS[2], '(' .. now, '+inf')
  if type(leases) ~= 'number' then
    redis.call('DEL', KEYS[2])
    leases = 0
  end
  external = redis.pcall('SCARD', KEYS[3])
  if type(external) ~= 'number' then external = 0 end
  if external > 0 and leases == 0 then
    itself = redis.call('SISMEMBER', KEYS[3], id)
  elseif external > 0 then
    for _, member in ipairs(redis.call('SMEMBERS', KEYS[3])) do
      local score = redis.call('ZSCORE', KEYS[2], member)
      if score and tonumber(score) > now then
        external = external - 1
      elseif member == id then
        itself = 1
      end
    end
  end
end
local count = leases + external

-- Notes the lease in the index of a node. A key of another type, which nobody could read, is replaced.
local function note (index)
  local member = user .. ' ' .. id
  if type(redis.pcall('ZADD', index, expires, member)) == 'table' then
    redis.call('DEL', index)
    redis.call('ZADD', index, expires, member)
  end
end

if record then
  if string.sub(record, 1, 1) == '-' then
    if ARGV[9] ~= '1' then redis.call('PEXPIRE', KEYS[1], ARGV[10], 'GT') end
    return { 5 }
  end
  local holder, started, node = string.match(record, '^%+(%S+) (%d+) (%S*) ')
  if holder and holder ~= user then
    if redis.call('PTTL', KEYS[1]) > ARGV[4] - ARGV[3] then return { 4 } end
  elseif holder then
    local score = redis.call('ZSCORE', KEYS[2], id)
    if score and tonumber(score) > now then
      if ARGV[15] == '1' and score - started == tonumber(ARGV[3]) then
        expires = score
      elseif ARGV[9] ~= '1' then
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
        redis.call('ZADD', KEYS[2], expires, id)
        if node ~= '' and ARGV[12] ~= '' then note(ARGV[12] .. node) end
      end
      return { 2, count, limit, tonumber(expires), record }
    end
  end
end

local after = count + 1 - itself
local over = limit > 0 and after > limit
if over and ARGV[8] == 'reject' then return { 3, count, limit, external } end
local observed = over and ARGV[8] == 'observe' and 1 or 0

-- All other sessions in the order in which they would have to end: ghosts, which nobody would miss, leases by their
-- start, then what the switch recorded itself.
local ending = {}
if over and ARGV[8] == 'terminate_oldest' then
  local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'WITHSCORES')
  for i = 1, #found, 2 do
    local lease = found[i]
    local text = redis.pcall('GET', ARGV[11] .. lease)
    local start, node = string.match(type(text) == 'string' and text or '', '^%+%S* (%d+) (%S*)')
    ending[#ending + 1] = { id = lease, rank = 1, start = tonumber(start) or 0, node = node or '', left = found[i + 1] - now }
  end
  local members = redis.pcall('SMEMBERS', KEYS[3])
  for _, member in ipairs(members.err and {} or members) do
    local score = redis.call('ZSCORE', KEYS[2], member)
    if member ~= id and not (score and tonumber(score) > now) then
      local text = ARGV[13] == '' or redis.pcall('GET', ARGV[13] .. member)
      local start = type(text) == 'string' and string.match(text, '"created_at":%s*(%d+)')
      ending[#ending + 1] = { id = member, rank = text and 2 or 0, start = tonumber(start or 0) }
    end
  end
  table.sort(ending, function (a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    if a.start ~= b.start then return a.start < b.start end
    return a.id < b.id
  end)
end

local writes = ARGV[9] ~= '1'
-- The first write is the one that a full Redis refuses; after it nothing is refused any more.
if writes then
  local taken = '+' .. user .. ' ' .. string.format('%d', now) .. ' ' .. ARGV[5] .. ' ' .. ARGV[6]
  redis.call('SET', KEYS[1], taken, 'PX', ARGV[4])
  redis.call('ZADD', KEYS[2], expires, id)
  if KEYS[7] then note(KEYS[7]) end
end

local reply = { 1, after, limit, now, observed }
for i = 1, math.min(after - limit, #ending) do
  local session = ending[i]
  reply[2] = reply[2] - 1
  if session.rank > 0 then reply[#reply + 1] = session.id end
  -- A lease may be in the switch's set, too.
  if writes then redis.pcall('SREM', KEYS[3], session.id) end
  if writes and session.rank > 0 then
    redis.call('SET', ARGV[11] .. session.id, '-' .. user .. ' terminated', 'PX', math.max(ARGV[10], session.left or 0))
    redis.call('ZREM', KEYS[2], session.id)
    if (session.node or '') ~= '' and ARGV[12] ~= '' then redis.pcall('ZREM', ARGV[12] .. session.node, user .. ' ' .. session.id) end
  end
end
return reply
