-- json (functions.md section 15, J1-J7): encoding and decoding in Lua, validation in Python.
--
-- Both directions are Lua loops, so the instruction limit and the memory limit hold in them; a C or
-- Python coder could not be interrupted. Tables are read raw: a script's metamethods never run
-- inside the coder. Errors are returned, not raised: a pcall here would have to let kills through.
local H, py = ...
local raw = H.raw
local type, mtype, next, rawlen, rawget = raw.type, raw.math.type, raw.next, raw.rawlen, raw.rawget
local find, byte, sub, format, gsub = raw.string.find, raw.string.byte, raw.string.sub, raw.string.format, raw.string.gsub
local concat, tonumber, tostring = raw.table.concat, raw.tonumber, raw.tostring
local char, valid_utf8 = raw.utf8.char, raw.utf8.len
local getmt = raw.debug.getmetatable

local MAX_DEPTH = 128
local M = {}

-- ------------------------------------------------------------------------------------ encoding
local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
for code = 0, 31 do
  local c = char(code)
  escapes[c] = escapes[c] or format("\\u%04x", code)
end
escapes["\127"] = "\\u007f"

local function quote(s)
  if find(s, "[%c\"\\\127]") then s = gsub(s, "[%c\"\\\127]", escapes) end
  return '"' .. s .. '"'
end

local function number(n)
  if mtype(n) == "integer" then return format("%d", n) end
  if n ~= n or n == 1 / 0 or n == -1 / 0 then return "null" end
  if n % 1 == 0 then return format("%.0f", n) end
  for digits = 15, 17 do
    local s = format("%." .. digits .. "g", n)
    if tonumber(s) == n then return s end
  end
end

-- "array" with its length, "object", or nil and the reason why it is neither.
local function shape(t)
  local integers, others = 0, 0
  for k in next, t do
    if mtype(k) == "integer" then integers = integers + 1 else others = others + 1 end
  end
  if integers == 0 then return others == 0 and "empty" or "object" end
  if others > 0 then return nil, "table has both integer keys and other keys" end
  if rawlen(t) ~= integers or rawget(t, 1) == nil then return nil, "sparse array" end
  for i = 1, integers do
    if rawget(t, i) == nil then return nil, "sparse array" end
  end
  return "array", integers
end

-- Appends to out; returns nil when done, or what is wrong.
local encode
local function encode_table(v, out, depth, open)
  local mt = getmt(v)
  if mt and (H.opaque[mt] or H.frozen_of[mt]) then
    out[#out + 1] = "null"
    return nil
  end
  if open[v] then return "table refers to itself" end
  if depth >= MAX_DEPTH then return "nested deeper than " .. MAX_DEPTH end
  local kind, length = shape(v)
  if not kind then return length end
  if kind == "empty" then
    out[#out + 1] = "[]"
    return nil
  end
  open[v] = true
  if kind == "array" then
    for i = 1, length do
      out[#out + 1] = i == 1 and "[" or ","
      local why = encode(rawget(v, i), out, depth + 1, open)
      if why then return why end
    end
    out[#out + 1] = "]"
  else
    local before = "{"
    for k, item in next, v do
      local key = type(k) == "string" and k or H.text(k) or tostring(k)
      if not valid_utf8(key) then return "key is not UTF-8 text" end
      out[#out + 1] = before .. quote(key) .. ":"
      before = ","
      local why = encode(item, out, depth + 1, open)
      if why then return why end
    end
    out[#out + 1] = "}"
  end
  open[v] = nil
  return nil
end

function encode(v, out, depth, open)
  local t = type(v)
  if t == "table" then
    local state = H.error(v)
    if not state then return encode_table(v, out, depth, open) end
    t, v = "string", state.message
  end
  if t == "string" then
    if not valid_utf8(v) then return "string is not UTF-8 text" end
    out[#out + 1] = quote(v)
  elseif t == "number" then
    out[#out + 1] = number(v)
  elseif t == "boolean" then
    out[#out + 1] = v and "true" or "false"
  else
    out[#out + 1] = "null"
  end
  return nil
end

-- The text, or nil and what is wrong.
local function encoded(v)
  local out = {}
  local why = encode(v, out, 0, {})
  if why then return nil, why end
  return concat(out)
end
H.to_json = encoded

function M.encode(v)
  local text, why = encoded(v)
  if not text then return H.fail("Internal", "json.encode: " .. why) end
  return text
end

-- ------------------------------------------------------------------------------------ decoding
-- Each reader returns value, next position; or nil, nil, what is wrong, where.
local value
local plain = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function blank(s, at) return find(s, "[^ \t\r\n]", at) or #s + 1 end

local function code_unit(s, at)
  return find(s, "^%x%x%x%x", at) and tonumber(sub(s, at, at + 3), 16)
end

local function unicode(s, at) -- at: first hex digit
  local code = code_unit(s, at)
  if not code then return nil, nil, "four hex digits expected", at end
  at = at + 4
  if code >= 0xD800 and code <= 0xDFFF then
    local low = code < 0xDC00 and sub(s, at, at + 1) == "\\u" and code_unit(s, at + 2)
    if not low or low < 0xDC00 or low > 0xDFFF then return "\u{FFFD}", at end
    return char(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00), at + 6
  end
  return char(code), at
end

local function string(s, at) -- at: first character after the quote
  local parts, n, start = nil, 0, at
  while true do
    local stop = find(s, '["\\%c]', at)
    if not stop then return nil, nil, "unfinished string", start - 1 end
    local c = byte(s, stop)
    if c == 34 then
      if not parts then return sub(s, start, stop - 1), stop + 1 end
      parts[n + 1] = sub(s, at, stop - 1)
      return concat(parts), stop + 1
    elseif c ~= 92 then
      if c ~= 127 then return nil, nil, "control character in a string", stop end
      parts = parts or {}
      parts[n + 1], n, at = sub(s, at, stop), n + 1, stop + 1
    else
      parts = parts or {}
      parts[n + 1] = sub(s, at, stop - 1)
      local letter = sub(s, stop + 1, stop + 1)
      local text, after = plain[letter], stop + 2
      if letter == "u" then
        local why, where
        text, after, why, where = unicode(s, stop + 2)
        if not text then return nil, nil, why, where end
      elseif not text then
        return nil, nil, "unknown escape", stop
      end
      parts[n + 2], n, at = text, n + 2, after
    end
  end
end

local function numeral(s, at)
  local _, stop = find(s, "^-?0", at)
  if not stop then
    _, stop = find(s, "^-?[1-9]%d*", at)
    if not stop then return nil, nil, "value expected", at end
  end
  local _, fraction = find(s, "^%.%d+", stop + 1)
  local _, exponent = find(s, "^[eE][+-]?%d+", (fraction or stop) + 1)
  stop = exponent or fraction or stop
  return tonumber(sub(s, at, stop)), stop + 1
end

local function array(s, at, depth)
  local result, n = {}, 0
  at = blank(s, at)
  if byte(s, at) == 93 then return result, at + 1 end
  while true do
    local item, after, why, where = value(s, at, depth)
    if not after then return nil, nil, why, where end
    n = n + 1
    result[n] = item
    at = blank(s, after)
    local c = byte(s, at)
    if c == 93 then return result, at + 1 end
    if c ~= 44 then return nil, nil, "',' or ']' expected", at end
    at = at + 1
  end
end

local function object(s, at, depth)
  local result = {}
  at = blank(s, at)
  if byte(s, at) == 125 then return result, at + 1 end
  while true do
    at = blank(s, at)
    if byte(s, at) ~= 34 then return nil, nil, "a key in quotes expected", at end
    local key, after, why, where = string(s, at + 1)
    if not after then return nil, nil, why, where end
    at = blank(s, after)
    if byte(s, at) ~= 58 then return nil, nil, "':' expected", at end
    local item
    item, after, why, where = value(s, at + 1, depth)
    if not after then return nil, nil, why, where end
    result[key] = item
    at = blank(s, after)
    local c = byte(s, at)
    if c == 125 then return result, at + 1 end
    if c ~= 44 then return nil, nil, "',' or '}' expected", at end
    at = at + 1
  end
end

local words = { ["true"] = true, ["false"] = false }

function value(s, at, depth)
  at = blank(s, at)
  local c = byte(s, at)
  if c == 34 then return string(s, at + 1) end
  if c == 123 or c == 91 then
    if depth >= MAX_DEPTH then return nil, nil, "nested deeper than " .. MAX_DEPTH, at end
    if c == 123 then return object(s, at + 1, depth + 1) end
    return array(s, at + 1, depth + 1)
  end
  local _, stop = find(s, "^%l+", at)
  if not stop then return numeral(s, at) end
  local word = sub(s, at, stop)
  if word == "null" then return nil, stop + 1 end
  if words[word] == nil then return nil, nil, "value expected", at end
  return words[word], stop + 1
end

function M.decode(s)
  if type(s) ~= "string" then return H.fail("Invalid", "json.decode: text expected, got " .. H.typename(s)) end
  if s == "" then return H.fail("Invalid", "json.decode: the text is empty") end
  local v, after, why, where = value(s, 1, 0)
  if after then
    where = blank(s, after)
    if where > #s then return v, nil end
    why = "end of the text expected"
  end
  local found = sub(s, where, where + 15)
  return H.fail("Internal", format("json.decode: at position %d: %s, found %s", where, why,
    found == "" and "the end of the text" or "'" .. found .. "'"))
end

-- ---------------------------------------------------------------------------------- validation
local function schema_text(schema)
  if schema == nil then return nil, "schema is required" end
  if type(schema) == "string" then return schema end
  if type(schema) ~= "table" then return nil, "schema must be a table or JSON text, got " .. H.typename(schema) end
  local text, why = encoded(schema)
  return text, why and "schema: " .. why
end

-- A table of the script says nothing about whether an empty one is an array or an object.
local function checked(schema, text, schema_is_table, data_is_table)
  local ok, err = py.validate(schema, text, schema_is_table, data_is_table)
  if ok then return true end
  return false, err
end

local function refuse(why) return false, H.mkerr("Invalid", why, false) end

function M.validate(schema, data)
  local definition, why = schema_text(schema)
  if not definition then return refuse(why) end
  if data == nil then return refuse("data is required") end
  local text
  text, why = encoded(data)
  if not text then return refuse("data: " .. why) end
  return checked(definition, text, type(schema) == "table", true)
end

function M.validate_string(schema, text)
  local definition, why = schema_text(schema)
  if not definition then return refuse(why) end
  if type(text) ~= "string" then return refuse("data must be a JSON string") end
  return checked(definition, text, type(schema) == "table", false)
end

return M
