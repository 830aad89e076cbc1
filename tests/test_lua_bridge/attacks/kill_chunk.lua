-- attack: an endless loop in the chunk itself, before the process exists
-- expect: no process RateLimited instruction limit exceeded
while true do end
