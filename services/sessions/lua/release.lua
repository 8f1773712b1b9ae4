-- Ends a session and remembers that it has ended, so that a late acquire or renew does not bring it back.
-- KEYS  1 session-lease of the id, 2 user-leases, 3 user-sessions of the user
-- ARGV  1 user, 2 id, 3 reason, 4 how long an ended id is remembered in ms, 5 what node-leases keys begin with
--       ('' where out of reach), 6 how much longer than its lease a record is kept in ms,
--       7 only when the session is of this node ('' for any), 8 only when it started at or before, in ms,
--       9 '1' to remember an unknown id as well, 10 only when the lease was taken for so many ms and never renewed ('' for any)
-- Returns  { 1 released } | { 0 unknown } | { 4 another user holds the id } | { 6 not as 7, 8 or 10 say }; with the
--          record after a 1 or 0 where 5 is out of reach, and so whoever asked has to see to it
local user, id = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local found = redis.pcall('GET', KEYS[1])
local record = type(found) == 'string' and found or ''
if string.sub(record, 1, 1) == '-' then return { 0 } end
local holder, started, node = string.match(record, '^%+(%S+) (%d+) (%S*) ')
if holder and holder ~= user then
  if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[6]) then return { 4 } end
  holder, node = nil, nil
end
if holder and ARGV[7] ~= '' and (node ~= ARGV[7] or tonumber(started) > tonumber(ARGV[8])) then return { 6 } end

local score = redis.pcall('ZSCORE', KEYS[2], id)
local live = type(score) == 'string' and tonumber(score) > now
if ARGV[10] ~= '' and not (live and holder and tonumber(score) - started == tonumber(ARGV[10])) then return { 6 } end
if type(score) == 'string' then redis.call('ZREM', KEYS[2], id) end
local external = redis.pcall('SREM', KEYS[3], id)
if node and node ~= '' and ARGV[5] ~= '' then redis.pcall('ZREM', ARGV[5] .. node, user .. ' ' .. id) end

if not live and external ~= 1 and ARGV[9] ~= '1' then return { 0 } end
local remembered = ARGV[4]
if live and score - now > tonumber(remembered) then remembered = score - now end
redis.call('SET', KEYS[1], '-' .. user .. ' ' .. ARGV[3], 'PX', remembered)
local released = (live or external == 1) and 1 or 0
if ARGV[5] ~= '' then return { released } end
return { released, record }
