-- attack: processes that start two of their own kind
-- expect: refused
return function(neighbour, own_id, host)
  local count, err = 0, nil
  while count < 100000 do
    local pid
    pid, err = process.spawn(own_id, host, neighbour, own_id, host)
    if not pid then break end
    count = count + 1
  end
  assert(err and err:kind() == errors.UNAVAILABLE, tostring(err))
  return "refused"
end
