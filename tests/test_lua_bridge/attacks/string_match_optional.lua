-- attack: many optional items
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do (("a"):rep(30)):match(("a?"):rep(30) .. ("a"):rep(31)) end
end
