-- Makes what the service has written older, as if so much time had gone by.
-- KEYS  the keys: sorted sets by time, texts that expire, the hash of nodes
-- ARGV  1 by how many milliseconds
local ms = tonumber(ARGV[1])

local function earlier (text)
  return string.format('%.0f', tonumber(text) - ms)
end

for _, key in ipairs(KEYS) do
  local type = redis.call('TYPE', key).ok
  if type == 'zset' then
    local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #entries, 2 do redis.call('ZADD', key, earlier(entries[i + 1]), entries[i]) end
  elseif type == 'hash' then
    local fields = redis.call('HGETALL', key)
    for i = 1, #fields, 2 do
      redis.call('HSET', key, fields[i], (string.gsub(fields[i + 1], ' (%d+)$', function (seen) return ' ' .. earlier(seen) end)))
    end
  elseif type == 'string' then
    local left = redis.call('PTTL', key)
    if left >= 0 and left <= ms then
      redis.call('DEL', key)
    else
      local text = redis.call('GET', key)
      text = string.gsub(text, '^(%+%S* )(%d+)', function (head, start) return head .. earlier(start) end)
      text = string.gsub(text, '^(%d+ )(%d+)( )', function (limit, ends, tail) return limit .. earlier(ends) .. tail end)
      text = string.gsub(text, '^([1-9]%d+)( bar)$', function (ends, tail) return earlier(ends) .. tail end)
      if left >= 0 then redis.call('SET', key, text, 'PX', left - ms) else redis.call('SET', key, text) end
    end
  end
end
