-- Prolongs leases, one or many; what is unknown is registered again, even over the limit, for the switch says that the
-- call is up. No id may be named twice in one call. In a cluster a call is about one user, whose keys lie in one slot.
-- Decides first and writes after, so that a full Redis refuses the whole of it.
-- KEYS  1 user-leases of the first user, by which the call finds its slot; in a cluster also every record, for a slot that
--       is half moved is then refused by Redis itself
-- ARGV  1 time to live in ms, 2 how much longer the record is kept in ms, 3 how long an ended id is remembered in ms,
--       4 what session-lease keys begin with, 5 and 6 what stands before and behind the user in user-leases keys,
--       7 what node-leases keys begin with ('' where out of reach), 8 the node that the sessions are on ('' for the one
--       they are on anyway), 9 '1' to be answered with records, 10 how many arguments each session has, then for each
--       id, user and, if there are three, details
-- Returns  { the end of the leases in ms, a digit for each session, each one's record where that is asked for }
--          the digits: 1 renewed, 2 registered again, 4 another user holds the id, 5 it has ended
local call, pcall, match, args = redis.call, redis.pcall, string.match, ARGV
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- As text, for a number costs redis.call three times as much; and by %d, which costs a third of tostring.
local expires, kept = string.format('%d', now + args[1]), string.format('%d', args[1] + args[2])
local indexes, new_node, each = args[7], args[8], tonumber(args[10])
local count = (#args - 10) / each

local keys = {}
for i = 1, count do keys[i] = args[4] .. args[11 + (i - 1) * each] end
-- One read for all, in place of one for each.
local records = call('MGET', unpack(keys))

-- What each one is answered, whose record it has, on which node it is to be, and what the index of that node is told.
local codes, holders, nodes, notes = {}, {}, {}, {}
for i = 1, count do
  local at = 11 + (i - 1) * each
  local user, record = args[at + 1], records[i] or ''
  local holder, node = match(record, '^%+(%S+) %d+ (%S*) ')
  if string.byte(record) == 45 then
    codes[i] = '5'
  elseif holder and holder ~= user and call('PTTL', keys[i]) > tonumber(args[2]) then
    codes[i] = '4'
  else
    holders[i] = holder == user and node
    if new_node ~= '' then node = new_node elseif not holders[i] then node = '' end
    nodes[i] = node
    local note = notes[node]
    if not note then
      note = {}
      notes[node] = note
    end
    note[#note + 1] = expires
    note[#note + 1] = user .. ' ' .. args[at]
  end
end

-- An index that had all of them, and nothing that has expired, spares a look at each one's lease. A key of another type,
-- which nobody could read, is replaced.
local all_live = {}
if indexes ~= '' then
  for node, note in pairs(notes) do
    if node ~= '' then
      local index = indexes .. node
      local fresh = pcall('ZCOUNT', index, '-inf', now) == 0
      local added = pcall('ZADD', index, unpack(note))
      if type(added) == 'table' then
        call('DEL', index)
        added = call('ZADD', index, unpack(note))
      end
      all_live[node] = fresh and added == 0
    end
  end
end

local function is_live (leases, id)
  local score = pcall('ZSCORE', leases, id)
  return type(score) == 'string' and tonumber(score) > now
end

for i = 1, count do
  local at = 11 + (i - 1) * each
  local id, user, key, node, held_by = args[at], args[at + 1], keys[i], nodes[i], holders[i]
  if node then
    local leases = args[5] .. user .. args[6]
    local live = held_by == node and all_live[node] or is_live(leases, id)
    if held_by == node then
      call('PEXPIRE', key, kept)
    else
      local started, details = now, each == 3 and args[at + 2] or ''
      if held_by then started, details = match(records[i], '^%+%S+ (%d+) %S* (.*)$') end
      records[i] = '+' .. user .. ' ' .. started .. ' ' .. node .. ' ' .. details
      call('SET', key, records[i], 'PX', kept)
      if held_by and held_by ~= '' and indexes ~= '' then pcall('ZREM', indexes .. held_by, user .. ' ' .. id) end
    end
    local added = pcall('ZADD', leases, expires, id)
    if type(added) == 'table' then
      call('DEL', leases)
      added = call('ZADD', leases, expires, id)
    end
    codes[i] = live and added == 0 and '1' or '2'
  elseif codes[i] == '5' then
    call('PEXPIRE', key, args[3], 'GT')
  end
end

local reply = { tonumber(expires), table.concat(codes) }
if args[9] == '1' then
  for i = 1, count do reply[i + 2] = nodes[i] and records[i] or '' end
end
return reply
