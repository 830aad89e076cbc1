-- attack: make bytecode of a function
-- expect: refused
return function()
  assert(string.dump == nil and ("x").dump == nil)
  return "refused"
end
