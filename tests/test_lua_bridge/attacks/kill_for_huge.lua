-- attack: a numeric loop that takes centuries
-- expect: dead RateLimited instruction limit exceeded
return function() for i = 1, math.maxinteger do end end
