-- attack: load() without an environment, to get the real globals
-- expect: refused
return function()
  assert(load("return debug or io or python or package")() == nil)
  assert(load("return _G")() == _G)
  assert(load("return _ENV")() == _G)
  load("written_by_load = true")()
  assert(written_by_load == true)
  return "refused"
end
