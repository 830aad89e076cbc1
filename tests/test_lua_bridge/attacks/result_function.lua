-- attack: return a function
-- expect: dead Invalid cannot pass a function
return function() return { f = function() end } end
