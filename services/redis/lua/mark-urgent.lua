-- Marks a session as an emergency call. Nothing takes the mark back: nobody is told by an omission
-- that a call is none.
-- Gives  says_urgent(rest), mark_urgent(rest): `rest` is what stands behind the node in a record
local function says_urgent (rest)
  return string.find(rest, '^%d*!') ~= nil
end

local function mark_urgent (rest)
  return (string.gsub(rest, '^%d*', '%0!'))
end
