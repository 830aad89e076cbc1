-- Reads one line of the combined log format. A line of another form is an error: it crashes the
-- worker that holds it, which is what this example is about.
local combined = {}

-- The text between two marks, and where the second one ends.
local function between(line, from, opening, closing, what)
  local _, start = string.find(line, opening, from, true)
  if not start then error("malformed line: no " .. what, 0) end
  local stop, after = string.find(line, closing, start + 1, true)
  if not stop then error("malformed line: unfinished " .. what, 0) end
  return string.sub(line, start + 1, stop - 1), after
end

function combined.parse(line)
  local client, user = string.match(string.sub(line, 1, 128), "^(%S+) %S+ (%S+) ")
  if not client then error("malformed line: no client", 0) end
  local time, at = between(line, #client + #user, " [", "] \"", "time")
  local request, status_at = between(line, at, "\"", "\" ", "request")
  -- A quote inside the request is written \" and followed by more of it.
  while string.sub(request, -1) == "\\" do
    local more
    more, status_at = between(line, status_at - 1, "\" ", "\" ", "request")
    request = request .. "\" " .. more
  end
  local status, bytes, rest = string.match(string.sub(line, status_at + 1), "^(%d%d%d) ([%d-]+) (.*)$")
  if not status then error("malformed line: no status and size", 0) end
  local referer, agent_at = between(rest, 1, "\"", "\" \"", "referer")
  local agent = string.match(string.sub(rest, agent_at + 1), "^(.*)\"$")
  if not agent then error("malformed line: unfinished agent", 0) end
  local method, path = string.match(request, "^(%S+) (%S+)")
  if #time < 17 then error("malformed line: time is " .. time, 0) end
  return {
    client = client, user = user, minute = string.sub(time, 1, 17),
    method = method or "", path = path or request,
    status = tonumber(status), bytes = tonumber(bytes) or 0,
    referer = referer, agent = agent,
  }
end

return combined
