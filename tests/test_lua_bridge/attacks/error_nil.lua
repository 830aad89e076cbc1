-- attack: leave with the error nil
-- expect: dead Internal error object is nil
return function() error(nil) end
