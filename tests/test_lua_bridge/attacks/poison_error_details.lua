-- attack: change the details of an error after it was made; the copy elsewhere stays
-- expect: harmless
return function()
  local details = { a = 1 }
  local e = errors.new { message = "x", details = details }
  details.a, details.b = print, 2
  e:details().c = coroutine.create(print)
  return "done"
end
