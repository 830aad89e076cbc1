-- attack: formats with widths, precisions and arguments beyond what C can take
-- expect: refused
return function()
  for _, f in ipairs { "%99999999s", "%.99999999f", "%099999d", "%*d", "%.*f", "%1000000d", "%c%c%c%c", "%-+ #0123d",
    "%a%A", "%q", "%i%o%u%x%X%e%g%p", "%.100f", "%n", "%", "%z", ("%s"):rep(300), ("%d"):rep(1000) } do
    pcall(string.format, f, 1e308, -1e308, 0 / 0, math.mininteger)
  end
  local ok, text = pcall(string.format, "%99.99f", 1e308)
  assert(not ok or #text < 1000)
  assert(not pcall(string.format, "%100d", 1))
  return "refused"
end
