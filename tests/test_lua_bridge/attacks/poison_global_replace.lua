-- attack: replace global names; only this process may see it
-- expect: harmless
return function()
  string = { rep = function() return "evil" end }
  process = nil
  pcall = function() return true end
  tostring = function() return "evil" end
  error = print
  leaked = true
  _G.leaked_too = true
  return "done"
end
