-- attack: an environment whose every read and write raises (the host must not read it)
-- expect: harmless
return function()
  local _ENV = setmetatable({}, { __index = function() error("trap") end, __newindex = function() error("trap") end })
  return "done"
end
