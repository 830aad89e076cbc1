-- The price for a tenant with a discount: the list price, less so many per cent.
local M = {}

function M.price(line)
  local discount, err = ctx.get("discount")
  if err then return nil, err end
  local list, failed = funcs.call("orders:list_price", line)
  if failed then return nil, failed end
  return list - list * discount // 100
end

return M
