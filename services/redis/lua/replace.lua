-- Writes to a key. A key of another type, which the service could not read, is replaced. Any other
-- error, such as that of a full Redis, ends the script before anything is removed.
-- Gives  write(command, key, ...): the reply
local function write (command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then redis.call('DEL', key) end
  return redis.call(command, key, ...)
end
