-- attack: give way for ever and do nothing
-- expect: endless
return function() while true do coroutine.yield() end end
