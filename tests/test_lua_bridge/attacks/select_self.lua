-- attack: a select that would have to send to itself
-- expect: dead Internal deadlock
return function()
  local ch = channel.new()
  channel.select { ch:case_send(1), ch:case_receive() }
end
