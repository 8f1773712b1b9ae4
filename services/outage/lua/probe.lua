-- Shows that Redis serves what an admission needs: every command that one may use, writes included.
-- Tells whether its data is the same as before, too: a Redis that was flushed, or came back empty,
-- begins another generation, and so does one whose clock was set back to before the data began. One
-- that lost its last writes has an older mark: the mark says to when Redis knows all that the
-- replica does which probes.
-- Returns  { the generation; how long ago it began, in ms; which server process answers, '' where
--            that is not known; now in ms; the mark that was there, '' for none; 1 if that is one
--            of the expected, else 0; the commands that Redis refuses ... }
-- An expected mark is replaced, unless a server process answers that was not asked before: one that
-- came back with older data may have the same mark, and lack what was told after it.
-- A key that expires sooner than any record tells whether records have expired before their time:
-- the clock may have been set forward, and back before anybody looked. Then the mark is worth
-- nothing.
local generation_key = KEYS[1]
local text_key = KEYS[2] -- keys of the probe's own, one of each type
local sorted_key = KEYS[3]
local set_key = KEYS[4]
local mark_key = KEYS[5]
local recent_key = KEYS[6] -- the one that expires soon
local new_name = ARGV[1] -- for the generation that begins where there is none
local new_mark = ARGV[2] -- '' to leave the mark as it is
local expected, or_expected = ARGV[3], ARGV[4] -- which mark may be there; '' for none
local mark_memory_ms = ARGV[5]
local outdated = ARGV[6] -- a generation that has to end, because the clock was set; '' for none
local asked_servers = ARGV[7] -- with spaces between them; '' for any
local recent_ms = ARGV[8] -- in how long it expires
local is_recent = ARGV[9] == '1' -- it was written so short a time ago that it has to be there
local MEMBER = 'probe'

local refused = {}
local failure

-- An error that begins with another word than these is the server's: it serves nobody.
local ONE_COMMAND = { ERR = true, NOPERM = true, WRONGTYPE = true }

local function need (command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  local kind = string.match(reply.err, '^%-?(%u+)')
  if not ONE_COMMAND[kind] then
    failure = failure or reply
  elseif kind ~= 'WRONGTYPE' then
    refused[#refused + 1] = string.lower(command)
  end
end

local time = need('TIME') or { 0, 0 }
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local generation = need('GET', generation_key)
local begun = type(generation) == 'string' and tonumber(string.match(generation, ' (%d+)$'))
if not begun or begun > now or generation == outdated then
  begun = now
  generation = new_name .. ' ' .. string.format('%d', now)
end
need('SET', generation_key, generation)

need('MGET', text_key, generation_key)
need('EXISTS', text_key, sorted_key)
need('SET', text_key, MEMBER, 'PX', '1000')
need('APPEND', text_key, ' ')
need('PEXPIRE', text_key, '1000')
need('PTTL', text_key)
need('ZADD', sorted_key, '1', MEMBER)
need('ZCOUNT', sorted_key, '-inf', '+inf')
need('ZSCORE', sorted_key, MEMBER)
need('ZRANGEBYSCORE', sorted_key, '-inf', '+inf')
need('ZINTER', '2', sorted_key, set_key)
need('ZREM', sorted_key, MEMBER)
need('SCARD', set_key)
need('SISMEMBER', set_key, MEMBER)
need('SMEMBERS', set_key)
need('SREM', set_key, MEMBER)

local mark = need('GET', mark_key)
if is_recent and need('EXISTS', recent_key) == 0 then
  -- Deleted, so that the next probe finds it, too, should nobody hear the answer to this one.
  need('DEL', mark_key)
  mark = ''
end
if type(mark) ~= 'string' then mark = '' end
need('SET', recent_key, MEMBER, 'PX', recent_ms)
local is_as_left = mark == expected or mark == or_expected
if failure then return failure end

local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local is_asked = asked_servers == '' or string.find(asked_servers, server, 1, true)
if is_as_left and is_asked and new_mark ~= '' then
  need('SET', mark_key, new_mark, 'PX', mark_memory_ms)
end
return { generation, now - begun, server, now, mark, is_as_left and 1 or 0, unpack(refused) }
