-- attack: leave with a coroutine as error
-- expect: dead Internal error object
return function() error(coroutine.create(print)) end
