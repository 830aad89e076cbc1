-- attack: leave with bytes that are no text
-- expect: dead Internal
return function() error("\255\254\0\128 bytes", 0) end
