-- A small HTTP client that keeps one connection per process and gives every request a deadline for
-- the whole of it: connect, send and receive.

local socket = require("socket")

local Client = {}
Client.__index = Client

--- host, port: where the service listens. headers: lines for every request, each ending in \r\n.
local function new(host, port, headers)
  return setmetatable({ host = host, port = port, headers = headers }, Client)
end

local function close(self)
  if self.connection then self.connection:close() end
  self.connection = nil
end

-- Milliseconds would do, but LuaSocket counts in seconds.
local function remaining(deadline)
  return math.max(deadline - socket.gettime(), 0.001)
end

local function connect(self, deadline)
  local connection = socket.tcp()
  connection:settimeout(remaining(deadline), "t")
  local ok, failure = connection:connect(self.host, self.port)
  if not ok then
    connection:close()
    return failure
  end
  connection:setoption("tcp-nodelay", true)
  self.connection = connection
end

local function receive(self, pattern, deadline)
  self.connection:settimeout(remaining(deadline), "t")
  return self.connection:receive(pattern)
end

local function send(self, text, deadline)
  local sent = 0
  repeat
    self.connection:settimeout(remaining(deadline), "t")
    local last, failure, partial = self.connection:send(text, sent + 1)
    sent = last or partial
    if failure then return failure end
  until sent >= #text
end

local function receive_chunks(self, deadline)
  local chunks = {}
  while true do
    local line, failure = receive(self, "*l", deadline)
    if not line then return nil, failure end
    local size = tonumber(line:match("^%x+"), 16)
    if not size then return nil, "malformed chunk" end
    local chunk = size > 0 and receive(self, size, deadline) or ""
    if not chunk or not receive(self, "*l", deadline) then return nil, "incomplete chunk" end
    if size == 0 then return table.concat(chunks) end
    chunks[#chunks + 1] = chunk
  end
end

-- Returns status and body, or nil, the failure, and whether anything had been received before it.
local function receive_answer(self, deadline)
  local line, failure = receive(self, "*l", deadline)
  if not line then return nil, failure, false end
  local status = tonumber(line:match("^HTTP/1%.%d (%d%d%d)"))
  if not status then return nil, "not an HTTP answer", true end
  local headers = {}
  while true do
    line, failure = receive(self, "*l", deadline)
    if not line then return nil, failure, true end
    if line == "" then break end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    if name then headers[name:lower()] = value:lower() end
  end
  local body
  if headers["transfer-encoding"] == "chunked" then
    body, failure = receive_chunks(self, deadline)
  else
    body, failure = receive(self, tonumber(headers["content-length"] or "0"), deadline)
  end
  if not body then return nil, failure, true end
  if headers.connection == "close" then close(self) end
  return status, body
end

local function exchange(self, text, deadline)
  if not self.connection then
    local failure = connect(self, deadline)
    if failure then return nil, failure, true end
  end
  local failure = send(self, text, deadline)
  if failure then return nil, failure, false end
  return receive_answer(self, deadline)
end

--- POSTs a body; returns status and body, or nil and what went wrong ("timeout", "connection
-- refused", "closed"). A connection that the service has closed meanwhile is opened anew, once:
-- every verb can be repeated.
function Client:post(path, body, seconds)
  local deadline = socket.gettime() + seconds
  local text = "POST " .. path .. " HTTP/1.1\r\nHost: " .. self.host .. ":" .. self.port ..
    "\r\n" .. self.headers .. "Content-Type: application/json\r\nContent-Length: " .. #body ..
    "\r\n\r\n" .. body
  local kept = self.connection ~= nil
  local status, answer, begun = exchange(self, text, deadline)
  if not status then
    close(self)
    if kept and not begun and answer == "closed" then
      status, answer = exchange(self, text, deadline)
      if not status then close(self) end
    end
  end
  return status, answer
end

return { new = new }
