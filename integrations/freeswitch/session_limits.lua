-- FreeSWITCH 1.10 in front of Voice Ferry session limits. NOT RUN: see README.md.
--
--   lua session_limits.lua ask       in the dialplan, before the bridge
--   lua session_limits.lua release   as api_hangup_hook
--   lua session_limits.lua report    every 30 s, as an API command
--
-- mod_curl sends what stands in the URL as HTTP Basic: the password is an API key.

local api = freeswitch.API()
local NODE = freeswitch.getGlobalVariable("session_limits_node")
local URL = freeswitch.getGlobalVariable("session_limits_url") -- http://switch:KEY@127.0.0.1:3001
local PASS_WHEN_AWAY = freeswitch.getGlobalVariable("session_limits_away") ~= "refuse"

local function quoted(text)
  return '"' .. text:gsub('[%c"\\ ]', function(char)
    return ("\\u%04x"):format(char:byte())
  end) .. '"'
end

-- The arguments of curl end at a space, so bodies are written without any.
local function post(path, body, seconds)
  local answer = api:execute("curl", URL .. path .. " json connect-timeout " .. seconds ..
    " timeout " .. seconds .. " content-type application/json post " .. body) or ""
  return tonumber(answer:match('"status_code":%s*"?(%d+)')), answer
end

local function ask()
  local id = session:getVariable("uuid")
  local user = session:getVariable("sip_auth_username") or session:getVariable("sip_from_user")
  session:setVariable("session_limits_user", user)
  local number = session:getVariable("destination_number") or ""
  local emergency = number == "112" or number == "911"
  local status, answer = post("/api/sessions", "{" .. table.concat({
    '"session_id":' .. quoted(id), '"username":' .. quoted(user), '"node":' .. quoted(NODE),
    '"ttl":90', '"emergency":' .. tostring(emergency)
  }, ",") .. "}", 1)
  if emergency or status == 200 or status == 201 then return end
  if status == 409 then
    local barred = answer:find("user_barred", 1, true) or answer:find("session_id_conflict", 1, true)
    return session:hangup(barred and "CALL_REJECTED" or "USER_BUSY")
  end
  if status == 410 then return session:hangup("ORIGINATOR_CANCEL") end
  if status == 400 then return session:hangup("INVALID_MSG_UNSPECIFIED") end
  if not PASS_WHEN_AWAY then session:hangup("NORMAL_TEMPORARY_FAILURE") end
end

local function release()
  local id = env:getHeader("uuid")
  post("/api/sessions/release",
    '{"node":' .. quoted(NODE) .. ',"sessions":[{"session_id":' .. quoted(id) .. "}]}", 1)
end

-- The calls of this node: channels that were asked for carry the user in a variable.
local function report()
  local items = {}
  for id in (api:execute("show", "channels") or ""):gmatch("(%x+%-%x+%-%x+%-%x+%-%x+),inbound") do
    local user = api:execute("uuid_getvar", id .. " session_limits_user")
    if user and user ~= "_undef_" and not user:find("^-ERR") then
      items[#items + 1] = '{"session_id":' .. quoted(id) .. ',"username":' .. quoted(user) .. "}"
    end
  end
  -- Global variables end with FreeSWITCH, so the epoch grows with every start.
  local epoch = freeswitch.getGlobalVariable("session_limits_epoch") or ""
  if epoch == "" then
    epoch = api:execute("strepoch")
    api:execute("global_setvar", "session_limits_epoch=" .. epoch)
  end
  local _, answer = post("/api/sessions/nodes/" .. NODE, "{" .. table.concat({
    '"epoch":' .. tonumber(epoch), '"total":' .. #items, '"ttl":90',
    '"sessions":[' .. table.concat(items, ",") .. "]"
  }, ",") .. "}", 5)
  local ended = answer:match('\\"ended\\":%[(.-)%]') or answer:match('"ended":%[(.-)%]') or ""
  for id in ended:gmatch("%x+%-%x+%-%x+%-%x+%-%x+") do
    api:execute("uuid_kill", id .. " MANAGER_REQUEST")
  end
end

local verbs = { ask = ask, release = release, report = report }
verbs[argv[1]]()
