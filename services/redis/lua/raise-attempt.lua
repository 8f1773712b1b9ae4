-- Raises the attempt of a session. What its earlier attempt ended to make room is not named any
-- more.
-- Gives  raise_attempt(rest, attempt): `rest` is what stands behind the node in a record
local function raise_attempt (rest, attempt)
  local behind = string.gsub(string.gsub(rest, '^%d+', ''), '\n.*', '')
  local gap = string.find(behind, '^[ !]') and '' or ' '
  return string.format('%d', attempt) .. gap .. behind
end
