-- attack: a chunk that leaves coroutines, closing variables and yields behind while it is loaded
-- expect: no process Internal
local x <close> = setmetatable({}, { __close = function() pcall(coroutine.yield, 1) end })
pcall(coroutine.yield, 1)
pcall(function() channel.new():receive() end)
local inner = coroutine.wrap(function() coroutine.yield(1) end)
inner()
coroutine.wrap(function() local y <close> = x coroutine.yield() end)()
error(setmetatable({}, { __tostring = function() while true do end end }))
