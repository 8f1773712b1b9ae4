-- Removes a session from the index of its switch node, whose key begins with `prefix`; that is ''
-- in a cluster, where the key lies in another slot.
-- Gives  leave_node(prefix, node, user, id)
local function leave_node (prefix, node, user, id)
  if prefix ~= '' and node ~= '' then redis.pcall('ZREM', prefix .. node, user .. ' ' .. id) end
end
