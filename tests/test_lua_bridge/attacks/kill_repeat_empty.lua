-- attack: an endless goto
-- expect: dead RateLimited instruction limit exceeded
return function()
  ::top::
  goto top
end
