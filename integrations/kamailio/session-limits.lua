-- What kamailio.cfg asks of Voice Ferry session limits. Kamailio loads this file in each of its
-- processes; what they share stands in the tables `sessions` and `service` and in two queues.
--
-- Settings, from the environment:
--   SESSION_LIMITS_HOST, SESSION_LIMITS_PORT   where the service listens; 127.0.0.1 and 3001
--   SESSION_LIMITS_KEY      an API key or a token with the role `switch`
--   SESSION_LIMITS_NODE     the name of this proxy, unique among all; default kamailio
--   SESSION_LIMITS_AWAY     `pass` (default) or `refuse`: calls while the service is away
--   SESSION_LIMITS_TIMEOUT_MS   how long an INVITE waits for an answer; 300
--   SESSION_LIMITS_TTL      seconds that a lease outlives its last report; 90
--   SESSION_LIMITS_REPORT   seconds between two reports; 30

local cjson = require("cjson")
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local http = dofile(folder .. "http.lua")

local function setting(name, default)
  local value = os.getenv("SESSION_LIMITS_" .. name)
  if value == nil or value == "" then return default end
  return value
end

local NODE = setting("NODE", "kamailio")
local PASS_WHEN_AWAY = setting("AWAY", "pass") ~= "refuse"
local TTL = tonumber(setting("TTL", "90"))
local REPORT_SECONDS = tonumber(setting("REPORT", "30"))
local ASK_SECONDS = tonumber(setting("TIMEOUT_MS", "300")) / 1000
-- A report may be large, and nobody waits for it.
local REPORT_TIMEOUT_SECONDS = 5
-- So many failures in a row open the breaker.
local FAILURES = 3
local PROBE_SECONDS = 0.25
local MAX_RELEASES = 1000
-- Grows with every start, and is the same in all reports of one run.
local EPOCH = os.time()

local client = http.new(
  setting("HOST", "127.0.0.1"),
  tonumber(setting("PORT", "3001")),
  "Authorization: Bearer " .. setting("KEY", "") .. "\r\n"
)

local function get(name) return KSR.pv.get(name) end

local function encoded(text)
  return (text:gsub("[^%w%-_.~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

-- The breaker ---------------------------------------------------------------------------------

local function failures() return tonumber(get("$sht(service=>failures)")) or 0 end

local function succeeded()
  if failures() == 0 then return end
  KSR.htable.sht_seti("service", "failures", 0)
  KSR.notice("session limits: the service answers again\n")
end

local function failed(failure)
  local count = KSR.htable.sht_inc("service", "failures")
  if count == FAILURES then KSR.err("session limits: the service is away: " .. failure .. "\n") end
end

-- Returns status and decoded body, or nothing when the service is away.
local function ask(path, body, seconds)
  local status, answer = client:post(path, cjson.encode(body), seconds)
  if not status then
    failed(answer)
    return nil
  end
  succeeded()
  local ok, decoded = pcall(cjson.decode, answer)
  return status, ok and type(decoded) == "table" and decoded or {}
end

--- Sets $var(away) to 1 while the breaker is open.
function is_away()
  KSR.pv.seti("$var(away)", failures() >= FAILURES and 1 or 0)
end

-- Admission -----------------------------------------------------------------------------------

local function is_emergency() return tonumber(get("$avp(emergency)")) == 1 end

local function this_session()
  return {
    session_id = get("$ci"),
    attempt = tonumber(get("$cs")),
    username = get("$avp(user)"),
    call_id = get("$ci"),
    from = get("$fu"),
    to = get("$tu"),
    emergency = is_emergency() or nil
  }
end

local function verdict(status, reason, retry_after)
  KSR.pv.seti("$var(status)", status)
  KSR.pv.sets("$var(reason)", reason or "")
  KSR.pv.seti("$var(retry_after)", retry_after or 0)
end

local function release(id, attempt)
  KSR.mqueue.mq_add("releases", id, tostring(attempt))
end

-- What an answer of the service means to the caller.
local function sip_answer(status, body)
  local sip = type(body.sip) == "table" and body.sip or {}
  if status == 409 and body.code == "session_id_conflict" then return 403, "Call-ID In Use" end
  if status == 409 then return sip.status or 486, sip.reason or "Busy Here" end
  if status == 410 then return 487, "Request Terminated" end
  return 400, "Bad Request"
end

-- The chosen behaviour without an answer. `asked` says that one may have been lost.
local function decide_alone(asked)
  if PASS_WHEN_AWAY or is_emergency() then return verdict(0) end
  if asked then release(get("$ci"), get("$cs")) end
  verdict(503, "Service Unavailable", 5)
end

local UNANSWERED = { [401] = true, [403] = true, [404] = true, [429] = true }

--- Asks for the INVITE at hand; sets $var(status), $var(reason) and $var(retry_after).
function admit()
  if failures() >= FAILURES then return decide_alone(false) end
  local request = this_session()
  request.node, request.ttl = NODE, TTL
  local status, body = ask("/api/sessions", request, ASK_SECONDS)
  if not status then return decide_alone(true) end
  if status == 200 or status == 201 then
    for _, id in ipairs(body.terminated or {}) do KSR.mqueue.mq_add("hangups", id, "") end
    return verdict(0)
  end
  if status >= 500 or UNANSWERED[status] then
    KSR.err("session limits: " .. status .. " " .. tostring(body.detail) .. "\n")
    return decide_alone(true)
  end
  if is_emergency() then return verdict(0) end
  verdict(sip_answer(status, body))
end

-- The sessions of this node -------------------------------------------------------------------

-- A Call-ID comes again after a challenge, so the key names the attempt, too.
local function key_of(id, attempt) return attempt .. ":" .. id end

--- Notes the dialog at hand as up: from now on reports name it.
function remember()
  local item = cjson.encode(this_session())
  local dialog = get("$dlg(h_entry)") .. ":" .. get("$dlg(h_id)") .. ":"
  KSR.htable.sht_sets("sessions", key_of(get("$ci"), get("$cs")), dialog .. item)
end

local function forget(id, attempt)
  KSR.htable.sht_rm("sessions", key_of(id, attempt))
  release(id, attempt)
end

--- The dialog at hand has ended or failed.
function ended()
  local id, attempt = get("$dlg(callid)"), get("$dlg_var(attempt)")
  if id and attempt then forget(id, attempt) end
end

--- The INVITE at hand was admitted and goes no further.
function withdraw()
  forget(get("$ci"), get("$cs"))
end

-- All sessions: the report items as JSON, and how to find the dialog of an id.
local function list_sessions()
  local items, dialogs = {}, {}
  KSR.htable.sht_iterator_start("all", "sessions")
  while KSR.htable.sht_iterator_next("all") > 0 do
    local entry, id, item = get("$shtitval(all)"):match("^(%d+):(%d+):(.*)$")
    if item then
      items[#items + 1] = item
      dialogs[get("$shtitkey(all)"):match("^%d+:(.*)$")] = { entry = entry, id = id }
    end
  end
  KSR.htable.sht_iterator_end("all")
  return items, dialogs
end

local function hang_up(ids, dialogs)
  for _, id in ipairs(ids) do
    local dialog = dialogs[id]
    if dialog then
      KSR.notice("session limits: hanging up " .. id .. ", which the service has ended\n")
      KSR.jsonrpcs.exec(('{"jsonrpc":"2.0","method":"dlg.end_dlg","params":[%s,%s],"id":1}')
        :format(dialog.entry, dialog.id))
    end
  end
end

-- Releases ------------------------------------------------------------------------------------

local pending, next_probe = {}, 0

local function take_releases()
  while #pending < MAX_RELEASES and KSR.mqueue.mq_fetch("releases") > 0 do
    pending[#pending + 1] = {
      session_id = get("$mqk(releases)"),
      attempt = tonumber(get("$mqv(releases)"))
    }
  end
end

local function take_hangups()
  local ids = {}
  while KSR.mqueue.mq_fetch("hangups") > 0 do ids[#ids + 1] = get("$mqk(hangups)") end
  if #ids == 0 then return end
  local _, dialogs = list_sessions()
  hang_up(ids, dialogs)
end

-- While the service is away this process alone asks whether it is back, so that no caller waits.
local function probe()
  if failures() < FAILURES then return true end
  local now = require("socket").gettime()
  if now < next_probe then return false end
  next_probe = now + PROBE_SECONDS
  local question = { username = "probe", session_id = "probe:" .. NODE, dry_run = true }
  return ask("/api/sessions", question, ASK_SECONDS) ~= nil
end

--- Tells the service what has ended. What it does not take is told again; what does not fit the
-- queue is freed by the next report.
function send_releases()
  take_hangups()
  if not probe() then return end
  take_releases()
  if #pending == 0 then return end
  local status = ask("/api/sessions/release", { sessions = pending, node = NODE }, ASK_SECONDS)
  if status and status < 500 and status ~= 429 then
    if status ~= 200 then KSR.err("session limits: releases were refused: " .. status .. "\n") end
    pending = {}
  end
end

-- Reports -------------------------------------------------------------------------------------

local next_report = 0

--- Tells the service all calls that are up, when that is due, and ends those that it has ended.
function send_report()
  local now = os.time()
  if now < next_report or failures() >= FAILURES then return end
  next_report = now + REPORT_SECONDS
  local items, dialogs = list_sessions()
  local body = ('{"epoch":%d,"ttl":%d,"as_of":"%s","total":%d,"sessions":[%s]}'):format(
    EPOCH, TTL, os.date("!%Y-%m-%dT%H:%M:%SZ", now), #items, table.concat(items, ","))
  local path = "/api/sessions/nodes/" .. encoded(NODE)
  local status, answer = client:post(path, body, REPORT_TIMEOUT_SECONDS)
  if status ~= 200 then
    KSR.err("session limits: report not taken: " .. tostring(status or answer) .. " " ..
      (status and answer or "") .. "\n")
    return
  end
  local ok, result = pcall(cjson.decode, answer)
  if ok and type(result.ended) == "table" then hang_up(result.ended, dialogs) end
end
