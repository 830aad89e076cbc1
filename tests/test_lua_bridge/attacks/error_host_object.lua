-- attack: leave with a channel as error
-- expect: dead Internal error object
return function() error(channel.new()) end
