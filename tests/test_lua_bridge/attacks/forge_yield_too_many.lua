-- attack: yield more values than any stack holds
-- expect: refused
return function()
  local ok = pcall(function() coroutine.yield(table.unpack({}, 1, 10000000)) end)
  assert(not ok)
  local co = coroutine.create(function() coroutine.yield(table.unpack({}, 1, 900000)) end)
  coroutine.resume(co)
  return "refused"
end
