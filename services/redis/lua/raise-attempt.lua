-- Gives  raise_attempt(rest, attempt): what stands behind the node in a record, with a later attempt.
--        What its earlier attempt ended to make room is not named any more.
local function raise_attempt (rest, attempt)
  local behind = string.gsub(string.gsub(rest, '^%d+', ''), '\n.*', '')
  local gap = string.find(behind, '^[ !]') and '' or ' '
  return string.format('%d', attempt) .. gap .. behind
end
