-- string.find, match, gmatch and gsub: Lua's own, unless the pattern could run for ever.
--
-- The matcher in C cannot be interrupted, and a pattern such as .-.-.-b takes cubic time. So each
-- pattern gets a degree once: how many of its repetitions can give back characters that a later
-- item would take as well (those multiply; %s*(%w+)%s*= has none), plus one if it is not anchored.
-- Without an anchor a repetition that gives nothing back is still read again from each position of
-- a run (a*b on many a), which stays within RUNS. Optional items that give back double the work.
-- A subject so long that length ^ degree passes WORK goes to the matcher below, which is Lua code:
-- some 40 times slower, sliced and killed like any script.
-- Rejected: length ^ number of repetitions (sends ordinary parsing to the slow matcher).
local H = ...
local raw = H.raw
local type, select, tostring, rs = raw.type, raw.select, raw.tostring, raw.string
local byte, char, sub, find, concat = rs.byte, rs.char, rs.sub, rs.find, raw.table.concat
local rep, unpack = rs.rep, raw.table.unpack
local strings, text, raise = H.strings, H.subject, H.raise

local WORK = 3e7
local RUNS = 1e4        -- longest subject of a pattern that is only quadratic in its runs
local PLAIN = 1e9       -- bytes compared in one plain search
local QUANTIFIER = { ["*"] = true, ["+"] = true, ["-"] = true, ["?"] = true }

-- ---------------------------------------------------------------- compiling

local sets = {}       -- text of a single-character item -> {byte -> true}, asked of Lua's own matcher
local sets_count = 0

local function set_of(item)
  local set = sets[item]
  if set then return set end
  if sets_count > 500 then sets, sets_count = {}, 0 end
  set = {}
  for c = 0, 255 do
    if find(char(c), "^" .. item .. "$") then set[c] = true end
  end
  sets[item], sets_count = set, sets_count + 1
  return set
end

local function class_end(p, i)
  local c = sub(p, i, i)
  if c == "%" then
    if i + 1 > #p then raise("malformed pattern (ends with '%')") end
    return i + 2
  end
  if c ~= "[" then return i + 1 end
  i = i + 1
  if sub(p, i, i) == "^" then i = i + 1 end
  repeat
    if i > #p then raise("malformed pattern (missing ']')") end
    local d = sub(p, i, i)
    i = i + 1
    if d == "%" then i = i + 1 end
  until sub(p, i, i) == "]"
  return i + 1
end

local function literal(item)
  if #item == 1 and not find(item, "[%^%$%(%)%%%.%[%]%*%+%-%?]") then return item end
  if #item == 1 and item ~= "." then return "%" .. item end
  return item
end

local function escape_item(p, i, items)
  local c = sub(p, i + 1, i + 1)
  if c == "b" then
    if i + 3 > #p then raise("malformed pattern (missing arguments to '%b')") end
    items[#items + 1] = { kind = "balance", open = byte(p, i + 2), close = byte(p, i + 3) }
    return i + 4
  elseif c == "f" then
    if sub(p, i + 2, i + 2) ~= "[" then raise("missing '[' after '%f' in pattern") end
    local stop = class_end(p, i + 2)
    items[#items + 1] = { kind = "frontier", set = set_of(sub(p, i + 2, stop - 1)) }
    return stop
  elseif c >= "0" and c <= "9" then
    items[#items + 1] = { kind = "back", index = byte(c) - 48 }
    return i + 2
  end
  return nil
end

-- Pattern -> list of items, anchored?
local function compile(p)
  local items, i = {}, 1
  local anchored = sub(p, 1, 1) == "^"
  if anchored then i = 2 end
  while i <= #p do
    local c = sub(p, i, i)
    local special = c == "%" and escape_item(p, i, items)
    if special then i = special
    elseif c == "(" then
      local position = sub(p, i + 1, i + 1) == ")"
      items[#items + 1] = { kind = position and "position" or "open" }
      i = i + (position and 2 or 1)
    elseif c == ")" then
      items[#items + 1] = { kind = "close" }
      i = i + 1
    elseif c == "$" and i == #p then
      items[#items + 1] = { kind = "end" }
      i = i + 1
    else
      local stop = class_end(p, i)
      local item = { kind = "one", set = set_of(literal(sub(p, i, stop - 1))) }
      local q = sub(p, stop, stop)
      if QUANTIFIER[q] then
        item.kind = q
        stop = stop + 1
      end
      items[#items + 1] = item
      i = stop
    end
  end
  return items, anchored
end

-- Can a repetition give back what a later item would take?
local function ambiguous(items, i)
  local set = items[i].set
  for j = i + 1, #items do
    local other = items[j]
    if other.set and other.kind ~= "frontier" then
      for c = 0, 255 do
        if set[c] and other.set[c] then return true end
      end
      if other.kind == "one" or other.kind == "+" then return false end
    elseif other.kind == "back" or other.kind == "balance" then return true end
  end
  return false
end

local REPEATS = { ["*"] = true, ["+"] = true, ["-"] = true }

local function degree(items, anchored)
  local d = anchored and 0 or 1
  for i = 1, #items do
    local kind = items[i].kind
    if kind == "balance" or kind == "back" or REPEATS[kind] and ambiguous(items, i) then d = d + 1 end
  end
  return d
end

-- The longest subject on which C does at most about WORK steps.
local function longest(items, anchored)
  local d, optional, runs = degree(items, anchored), 0, false
  for i = 1, #items - 1 do
    local kind = items[i].kind
    if kind == "?" and ambiguous(items, i) then optional = optional + 1 end
    if REPEATS[kind] then runs = true end
  end
  if optional > 20 then return 0 end
  if d < 2 and optional < 8 then return runs and not anchored and RUNS or raw.math.huge end
  return (WORK / 2 ^ optional) ^ (1 / d)
end

local plans, plans_count = {}, 0      -- pattern -> {items, anchored, longest harmless subject}

local function plan_of(p)
  local plan = plans[p]
  if plan then return plan end
  if plans_count > 500 then plans, plans_count = {}, 0 end
  local items, anchored = compile(p)
  plan = { items = items, anchored = anchored, longest = longest(items, anchored) }
  plans[p], plans_count = plan, plans_count + 1
  return plan
end

-- The plan if this pattern on this subject needs the slow matcher.
local function slow(s, p)
  if type(s) ~= "string" or type(p) ~= "string" or #s < 20 then return nil end
  if not find(p, "[%*%+%-%%%?]") then return #p > 1 and #s * #p > PLAIN and plan_of(p) or nil end
  local plan = plan_of(p)
  if #s > plan.longest then return plan end
  return nil
end

-- ---------------------------------------------------------------- matching

local function matcher(s, items)
  local size, count = #s, #items
  local from, to, level = {}, {}, 0     -- captures; to: nil open, false position
  local try

  local function balance(item, at)
    if byte(s, at) ~= item.open then return nil end
    local depth = 1
    for i = at + 1, size do
      local c = byte(s, i)
      if c == item.close then
        depth = depth - 1
        if depth == 0 then return i + 1 end
      elseif c == item.open then depth = depth + 1 end
    end
    return nil
  end

  local function repeated(item, i, at)
    local set, n = item.set, 0
    while at + n <= size and set[byte(s, at + n)] do n = n + 1 end
    local least = item.kind == "+" and 1 or 0
    while n >= least do
      local stop = try(i + 1, at + n)
      if stop then return stop end
      n = n - 1
    end
    return nil
  end

  local function lazily(item, i, at)
    local set = item.set
    while true do
      local stop = try(i + 1, at)
      if stop then return stop end
      if at <= size and set[byte(s, at)] then at = at + 1 else return nil end
    end
  end

  local function closing(i, at)
    for l = level, 1, -1 do
      if to[l] == nil then
        to[l] = at
        local stop = try(i + 1, at)
        if not stop then to[l] = nil end
        return stop
      end
    end
    raise("invalid pattern capture")
  end

  function try(i, at)
    while i <= count do
      local item = items[i]
      local kind = item.kind
      if kind == "one" then
        if at > size or not item.set[byte(s, at)] then return nil end
        at = at + 1
      elseif kind == "*" or kind == "+" then return repeated(item, i, at)
      elseif kind == "-" then return lazily(item, i, at)
      elseif kind == "?" then
        if at <= size and item.set[byte(s, at)] then
          local stop = try(i + 1, at + 1)
          if stop then return stop end
        end
      elseif kind == "open" or kind == "position" then
        level = level + 1
        if level > 32 then raise("too many captures") end
        from[level] = at
        if kind == "open" then to[level] = nil else to[level] = false end
        local stop = try(i + 1, at)
        if not stop then level = level - 1 end
        return stop
      elseif kind == "close" then return closing(i, at)
      elseif kind == "balance" then
        at = balance(item, at)
        if not at then return nil end
      elseif kind == "frontier" then
        local before, here = at > 1 and byte(s, at - 1) or 0, byte(s, at) or 0
        if item.set[before] or not item.set[here] then return nil end
      elseif kind == "back" then
        local l = item.index
        if l < 1 or l > level or not to[l] then raise("invalid capture index %" .. l) end
        local part = sub(s, from[l], to[l] - 1)
        if sub(s, at, at + #part - 1) ~= part then return nil end
        at = at + #part
      elseif at ~= size + 1 then return nil end          -- "end"
      i = i + 1
    end
    return at
  end

  local function capture(l)
    if to[l] == false then return from[l] end
    if to[l] == nil then raise("unfinished capture") end
    return sub(s, from[l], to[l] - 1)
  end

  return {
    -- Match at this very place -> the place after it, or nil.
    at = function(place)
      level = 0
      return try(1, place)
    end,
    -- Captures; the whole match (between start and stop) if there are none and whole is asked for.
    captures = function(start, stop, whole)
      if level == 0 and whole then return sub(s, start, stop - 1) end
      local values = {}
      for l = 1, level do values[l] = capture(l) end
      return unpack(values, 1, level)
    end,
    -- One numbered capture, %0 to %9 of a replacement.
    one = function(l, start, stop)
      if l == 0 or l == 1 and level == 0 then return sub(s, start, stop - 1) end
      if l > level then raise("invalid capture index %" .. l .. " in replacement string") end
      return capture(l)
    end,
  }
end

local function first(m, plan, s, init)
  if init > #s + 1 then return nil end
  for place = init, plan.anchored and init or #s + 1 do
    local stop = m.at(place)
    if stop then return place, stop end
  end
  return nil
end

local function start_of(init, s)
  init = init and raw.math.tointeger(raw.tonumber(init)) or 1
  if init < 0 then init = #s + init + 1 end
  return init < 1 and 1 or init
end

local function slow_find(plan, s, init)
  local m = matcher(s, plan.items)
  local start, stop = first(m, plan, s, start_of(init, s))
  if not start then return nil end
  return start, stop - 1, m.captures(start, stop, false)
end

local function slow_match(plan, s, init)
  local m = matcher(s, plan.items)
  local start, stop = first(m, plan, s, start_of(init, s))
  if not start then return nil end
  return m.captures(start, stop, true)
end

local function slow_gmatch(plan, s, init)
  local m, place, last = matcher(s, plan.items), start_of(init, s), nil
  return function()
    for start = place, #s + 1 do
      local stop = m.at(start)
      if stop and stop ~= last then
        place, last = stop, stop
        return m.captures(start, stop, true)
      end
    end
    place = #s + 2
    return nil
  end
end

-- ---------------------------------------------------------------- gsub

local function replacement(m, repl, start, stop, s)
  local t, value = type(repl), nil
  if t == "string" then
    return (rs.gsub(repl, "%%(.?)", function(c)
      if c == "%" then return "%" end
      if not find(c, "%d") then raise("invalid use of '%' in replacement string") end
      return tostring(m.one(byte(c) - 48, start, stop))
    end))
  elseif t == "table" then value = repl[m.one(1, start, stop)]
  else value = repl(m.captures(start, stop, true)) end
  if not value then return sub(s, start, stop - 1) end
  if type(value) ~= "string" and type(value) ~= "number" then
    raise("invalid replacement value (a " .. type(value) .. ")")
  end
  return tostring(value)
end

local function slow_gsub(plan, s, repl, max)
  local m, out, n, done = matcher(s, plan.items), {}, 0, 0
  if type(repl) == "number" then repl = tostring(repl) end
  local t = type(repl)
  if t ~= "string" and t ~= "table" and t ~= "function" then
    H.argerror(3, "gsub", "string/function/table", repl)
  end
  local place, last = 1, nil
  while done < max do
    local stop = m.at(place)
    if stop and stop ~= last then
      done = done + 1
      n = n + 1
      out[n] = replacement(m, repl, place, stop, s)
      place, last = stop, stop
    elseif place <= #s then
      n = n + 1
      out[n] = sub(s, place, place)
      place = place + 1
    else break end
    if plan.anchored then break end
  end
  n = n + 1
  out[n] = sub(s, place)
  return concat(out), done
end

-- ---------------------------------------------------------------- the functions

-- Plain search in linear time (the method of Knuth, Morris and Pratt).
local function plain_find(s, p, init)
  local size, back, k = #p, { 0 }, 0
  for i = 2, size do
    while k > 0 and byte(p, k + 1) ~= byte(p, i) do k = back[k] end
    if byte(p, k + 1) == byte(p, i) then k = k + 1 end
    back[i] = k
  end
  k = 0
  for i = start_of(init, s), #s do
    local c = byte(s, i)
    while k > 0 and byte(p, k + 1) ~= c do k = back[k] end
    if byte(p, k + 1) == c then k = k + 1 end
    if k == size then return i - size + 1, i end
  end
  return nil
end

function strings.find(s, p, init, plain)
  s, p = text(s), text(p)
  if plain then
    if type(s) == "string" and type(p) == "string" and #p > 1 and #s * #p > PLAIN then return plain_find(s, p, init) end
  else
    local plan = slow(s, p)
    if plan then return slow_find(plan, s, init) end
  end
  return find(s, p, init, plain)
end

function strings.match(s, p, init)
  s, p = text(s), text(p)
  local plan = slow(s, p)
  if plan then return slow_match(plan, s, init) end
  return rs.match(s, p, init)
end

function strings.gmatch(s, p, init)
  s, p = text(s), text(p)
  local plan = slow(s, p)
  if plan then
    if plan.anchored then plan = { items = compile("%" .. p) } end   -- gmatch knows no anchor
    return slow_gmatch(plan, s, init)
  end
  return rs.gmatch(s, p, init)
end

function strings.gsub(s, p, repl, n)
  s, p = text(s), text(p)
  if type(repl) == "table" then repl = text(repl) end
  local plan = slow(s, p)
  if plan then
    return slow_gsub(plan, s, repl, n == nil and raw.math.huge or raw.math.tointeger(raw.tonumber(n)) or 0)
  end
  if n == nil then return rs.gsub(s, p, repl) end
  return rs.gsub(s, p, repl, n)
end

H.slow_patterns = function() WORK = 0 end        -- for tests: every pattern takes the slow way

local frozen = H.frozen("string", strings)
H.base.string = frozen
H.seal(frozen)
