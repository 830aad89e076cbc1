-- attack: a table that is small here and enormous when written out
-- expect: harmless
return function(neighbour)
  local t = {}
  for i = 1, 60 do t = { t, t } end
  process.send(neighbour, "noise", t)
  return "done"
end
