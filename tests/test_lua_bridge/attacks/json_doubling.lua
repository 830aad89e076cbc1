-- attack: a small table that is enormous as JSON
-- modules: json
-- expect: dead RateLimited limit exceeded
return function()
  local t = {}
  for i = 1, 100 do t = { t, t } end
  json.encode(t)
end
