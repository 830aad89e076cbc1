-- attack: leave with an error whose details are a circle with a function in it
-- expect: dead
return function()
  local details = { f = print }
  details.self = details
  error(errors.new { message = "x", details = details })
end
