-- attack: the same inside pcall and coroutines
-- expect: no process RateLimited instruction limit exceeded
while true do pcall(coroutine.wrap(function() while true do end end)) end
