-- The rules: edit this file. Each request gets a score and tags that say why; the report lists the
-- clients whose scores add up to `alert`, and those with `burst` requests in one minute.
local rules = {}

rules.settings = { alert = 10, burst = 60 }

-- Paths that only scanners ask for, and programs that scan.
local traps = { "/wp-login", "/wp-admin", "/administrator", "/admin.php", "/phpmyadmin", "/.env",
  "/cgi-bin/", "../", "/etc/passwd" }
local scanners = { "sqlmap", "nikto", "nmap", "masscan", "zgrab" }

local function mentions(text, words)
  for _, word in ipairs(words) do
    if string.find(text, word, 1, true) then return true end
  end
  return false
end

-- request: client, user, minute ("17/May/2015:10:05"), method, path, status, bytes, referer, agent
function rules.score(request)
  local score, tags = 0, {}
  local function add(points, tag)
    score = score + points
    tags[#tags + 1] = tag
  end
  if request.status >= 500 then add(3, "server error")
  elseif request.status >= 400 then add(1, "client error") end
  if mentions(string.lower(request.path), traps) then add(5, "scanner path") end
  if mentions(string.lower(request.agent), scanners) then add(5, "scanner program") end
  return score, tags
end

return rules
