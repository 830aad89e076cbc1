-- attack: an endless loop
-- expect: dead RateLimited instruction limit exceeded
return function() while true do end end
