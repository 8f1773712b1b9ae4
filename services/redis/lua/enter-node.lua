-- Enters a session in the index of its switch node: a sorted set of `<user> <id>`, by the end of
-- each lease. Its key begins with `prefix`; that is '' in a cluster, where it lies in another slot.
-- Gives  enter_node(prefix, node, user, id, expires)
-- include replace

local function enter_node (prefix, node, user, id, expires)
  if prefix ~= '' and node ~= '' then
    write('ZADD', prefix .. node, expires, user .. ' ' .. id)
  end
end
