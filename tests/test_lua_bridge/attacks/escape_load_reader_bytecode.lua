-- attack: feed bytecode piece by piece through a reader function
-- expect: refused
return function()
  local pieces, i = { "\27", "Lua", "\x54", ("\0"):rep(100) }, 0
  local f = load(function()
    i = i + 1
    return pieces[i]
  end)
  assert(f == nil)
  return "refused"
end
