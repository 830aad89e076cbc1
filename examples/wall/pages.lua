-- What requests call.
local pages = {}

function pages.page()
  local html = registry.get("wall:html").data.text
  return { status = 200, headers = { ["Content-Type"] = "text/html; charset=utf-8" }, body = html }
end

function pages.recent()
  return { notes = store.get("wall:notes"):get("recent") or {} }
end

function pages.add(request)
  local text = request.json and request.json.text
  if type(text) ~= "string" or text == "" then
    return nil, errors.new { message = "expected a JSON object with text", kind = errors.INVALID }
  end
  process.send("wall.keeper", "note", { text = text, by = request.remote })
  return { status = 202 }
end

return pages
