-- attack: fail very deep in the stack, with long names
-- expect: dead Internal deep
return function()
  local source = "local function " .. ("n"):rep(200) .. "(n) if n == 0 then error('deep') end return 1 + "
    .. ("n"):rep(200) .. "(n - 1) end return " .. ("n"):rep(200)
  load(source, "@" .. ("path/"):rep(1000))()(10000)
end
