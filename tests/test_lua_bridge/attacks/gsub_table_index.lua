-- attack: gsub with a replacement table whose __index runs for ever, yields and replaces the subject
-- expect: dead RateLimited limit exceeded
return function()
  local t = setmetatable({}, { __index = function(_, k) coroutine.yield() return k:rep(1000) end })
  pcall(string.gsub, "abc", "%w", t)
  local u = setmetatable({}, { __index = function(self, k) return string.gsub("aaa", "a", self) end })
  pcall(string.gsub, "aaa", "a", u)
  local v = setmetatable({}, { __index = function() while true do end end })
  while true do pcall(string.gsub, "aaa", "a", v) end
end
