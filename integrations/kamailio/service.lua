-- The service: settings, one question at a time, and the breaker that all processes share in the
-- table `service`.

local cjson = require("cjson")
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local http = dofile(folder .. "http.lua")

-- So many failures in a row open the breaker.
local FAILURES = 3

local service = {}

--- A setting from the environment: SESSION_LIMITS_ and the name.
function service.setting(name, default)
  local value = os.getenv("SESSION_LIMITS_" .. name)
  if value == nil or value == "" then return default end
  return value
end

--- Text as it stands in a path (RFC 3986, 2.1).
function service.encoded(text)
  return (text:gsub("[^%w%-_.~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

service.NODE = service.setting("NODE", "kamailio")
service.TIMEOUT_SECONDS = tonumber(service.setting("TIMEOUT_MS", "300")) / 1000

local client = http.new(
  service.setting("HOST", "127.0.0.1"),
  tonumber(service.setting("PORT", "3001")),
  "Authorization: Bearer " .. service.setting("KEY", "") .. "\r\n"
)

local function failures() return tonumber(KSR.pv.get("$sht(service=>failures)")) or 0 end

--- Whether the breaker is open: then nobody asks but the one process that probes.
function service.is_away() return failures() >= FAILURES end

local function succeeded()
  if failures() == 0 then return end
  KSR.htable.sht_seti("service", "failures", 0)
  KSR.notice("session limits: the service answers again\n")
end

local function failed(failure)
  local count = KSR.htable.sht_inc("service", "failures")
  if count == FAILURES then KSR.err("session limits: the service is away: " .. failure .. "\n") end
end

--- POSTs JSON; returns the status, or nil and the failure, and the answer as text.
function service.post(path, body, seconds) return client:post(path, body, seconds) end

--- Asks, and counts failures; returns status and decoded body, or nothing without an answer.
function service.ask(path, request)
  local status, answer = client:post(path, cjson.encode(request), service.TIMEOUT_SECONDS)
  if not status then
    failed(answer)
    return nil
  end
  succeeded()
  local ok, decoded = pcall(cjson.decode, answer)
  return status, ok and type(decoded) == "table" and decoded or {}
end

return service
