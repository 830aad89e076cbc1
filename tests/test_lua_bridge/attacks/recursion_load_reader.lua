-- attack: load inside the reader of load, without end
-- expect: dead
local function f()
  load(f)
  return nil
end
return function()
  pcall(f)
  return "done"
end
