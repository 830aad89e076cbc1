-- string.find, match, gmatch and gsub.
local H = ...
local raw = H.raw
local type, rs = raw.type, raw.string
local strings, text = H.strings, H.subject

for _, name in raw.ipairs { "find", "match", "gmatch", "gsub" } do
  local f = rs[name]
  strings[name] = function(s, ...) return f(type(s) == "table" and text(s) or s, ...) end
end

local frozen = H.frozen("string", strings)
H.base.string = frozen
H.seal(frozen)
