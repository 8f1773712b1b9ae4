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
--   SESSION_LIMITS_REPORT_ITEMS   how many calls one request of a report holds; 10000

local cjson = require("cjson")
local socket = require("socket")
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local service = dofile(folder .. "service.lua")

local NODE = service.NODE
local PASS_WHEN_AWAY = service.setting("AWAY", "pass") ~= "refuse"
local TTL = tonumber(service.setting("TTL", "90"))
local REPORT_PATH = "/api/sessions/nodes/" .. service.encoded(NODE)
local REPORT_SECONDS = tonumber(service.setting("REPORT", "30"))
-- A report may be large, and nobody waits for it.
local REPORT_TIMEOUT_SECONDS = 5
-- A longer list goes in parts.
local MAX_REPORT_ITEMS = tonumber(service.setting("REPORT_ITEMS", "10000"))
local MAX_RELEASES = 1000
local PROBE_SECONDS = 0.25
-- Grows with every start, and is the same in all reports of one run.
local EPOCH = os.time()

local function get(name) return KSR.pv.get(name) end

--- Sets $var(away) to 1 while the breaker is open.
function is_away()
  KSR.pv.seti("$var(away)", service.is_away() and 1 or 0)
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

local function ask_for_call()
  if service.is_away() then return decide_alone(false) end
  local request = this_session()
  request.node, request.ttl = NODE, TTL
  local status, body = service.ask("/api/sessions", request)
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

--- Asks for the INVITE at hand; sets $var(status), $var(reason) and $var(retry_after).
function admit()
  local ok, failure = pcall(ask_for_call)
  if ok then return end
  KSR.err("session limits: " .. tostring(failure) .. "\n")
  decide_alone(true)
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

-- All sessions by id: the report item as JSON, and where the dialog is. Between a challenge and its
-- answer both attempts may be there: the later one counts.
local function list_sessions()
  local sessions = {}
  -- An error in this loop would leave the table locked, so nothing in it may be nil.
  KSR.htable.sht_iterator_start("all", "sessions")
  while KSR.htable.sht_iterator_next("all") > 0 do
    local attempt, id = (get("$shtitkey(all)") or ""):match("^(%d+):(.*)$")
    local entry, number, item = (get("$shtitval(all)") or ""):match("^(%d+):(%d+):(.*)$")
    attempt = tonumber(attempt)
    if attempt and item and (not sessions[id] or sessions[id].attempt < attempt) then
      sessions[id] = { attempt = attempt, item = item, entry = entry, number = number }
    end
  end
  KSR.htable.sht_iterator_end("all")
  return sessions
end

local function hang_up(ids, sessions)
  for _, id in ipairs(ids) do
    local session = sessions[id]
    if session then
      KSR.notice("session limits: hanging up " .. id .. ", which the service has ended\n")
      KSR.jsonrpcs.exec(('{"jsonrpc":"2.0","method":"dlg.end_dlg","params":[%s,%s],"id":1}')
        :format(session.entry, session.number))
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
  hang_up(ids, list_sessions())
end

-- While the service is away this process alone asks whether it is back, so that no caller waits.
local function may_ask()
  if not service.is_away() then return true end
  local now = socket.gettime()
  if now < next_probe then return false end
  next_probe = now + PROBE_SECONDS
  return true
end

local function probe()
  local question = { username = "probe", session_id = "probe:" .. NODE, dry_run = true }
  service.ask("/api/sessions", question)
end

--- Tells the service what has ended. What it does not take is told again; what does not fit the
-- queue is freed by the next report. After an outage this comes first, so that calls which ended
-- meanwhile hold no place when the first newcomer asks.
function send_releases()
  take_hangups()
  if not may_ask() then return end
  take_releases()
  if #pending == 0 then
    if service.is_away() then probe() end
    return
  end
  local status = service.ask("/api/sessions/release", { sessions = pending, node = NODE })
  if status and status < 500 and status ~= 429 then
    if status ~= 200 then KSR.err("session limits: releases were refused: " .. status .. "\n") end
    pending = {}
  end
end

-- Reports -------------------------------------------------------------------------------------

local next_report = 0

-- Sends one piece of a list; returns what the service has ended, or nothing if it was not taken.
local function post_report(items, first, last, head)
  local body = ("{%s,\"sessions\":[%s]}"):format(head, table.concat(items, ",", first, last))
  local status, answer = service.post(REPORT_PATH, body, REPORT_TIMEOUT_SECONDS)
  if status == 200 then return cjson.decode(answer).ended end
  KSR.err(("session limits: report not taken: %s %s\n"):format(
    tostring(status or "no answer"), tostring(answer)))
end

--- Tells the service all calls that are up, when that is due, and ends those that it has ended.
function send_report()
  local now = os.time()
  if now < next_report or service.is_away() then return end
  next_report = now + REPORT_SECONDS
  local sessions, items = list_sessions(), {}
  for _, session in pairs(sessions) do items[#items + 1] = session.item end
  local head = ('"epoch":%d,"ttl":%d,"as_of":"%s","total":%d'):format(
    EPOCH, TTL, os.date("!%Y-%m-%dT%H:%M:%SZ", now), #items)
  local parts = math.max(1, math.ceil(#items / MAX_REPORT_ITEMS))
  for part = 1, parts do
    local first = (part - 1) * MAX_REPORT_ITEMS + 1
    local last = math.min(part * MAX_REPORT_ITEMS, #items)
    local piece = parts > 1 and ('%s,"part":%d,"parts":%d'):format(head, part, parts) or head
    local ended = post_report(items, first, last, piece)
    if not ended then return end
    hang_up(ended, sessions)
  end
end
