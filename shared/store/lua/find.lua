-- find(import_id, state or '', code or '', text or '', order, descending '1' or '', start, count, wave or ''): a page of an import's
-- mailboxes: [how many fit, id, id, ...]. `text` (lower case) is looked for in both logins, `code` is that of the failure, or of a kind of
-- trouble with messages. Ordered by "row", by logins, or by a field of the mailbox (equal ones stand by row). Everybody waits for this, so it asks for
-- little: states and codes are kept as they change, ranks and texts of logins from the first time that somebody looks for one,
-- sets meet in Redis and not here, and numbers are sorted as numbers. It is a read: where the store takes no writes nothing is kept, and
-- the page is the same.
local import = import_key(ARGV[1])
local key = import .. ':mailboxes'
local state, code, text, order, down = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local start, count = tonumber(ARGV[7]), tonumber(ARGV[8])
local all = redis.call('ZCARD', key)
local login = string.match(order, '^(%l+)_login$')
local length = #(redis.call('ZRANGE', key, 0, 0)[1] or '')
-- From so many on, what is sorted is kept for a while.
local MANY = 5000

-- The kept sets that a mailbox must be in.
local sets = {}
if state ~= '' then sets[#sets + 1] = import .. ':in:' .. state end
if code ~= '' then sets[#sets + 1] = import .. ':code:' .. code end
if ARGV[9] ~= '' then sets[#sets + 1] = import .. ':of:' .. ARGV[9] end

-- An import that an older version opened has its mailboxes by their trouble with messages from the first such search on.
local trouble, fields, codes = false, {}, {}
for field, one in pairs(TROUBLE_OF) do
  trouble = trouble or one == code
  fields[#fields + 1], codes[#codes + 1] = field, one
end
if trouble and all > 0 and not redis.call('HGET', import, 'by_trouble') then
  pcall(function()
    for _, m in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      for n, value in ipairs(redis.call('HMGET', mailbox_key(m), unpack(fields))) do
        if value and tonumber(value) > 0 then
          redis.call('ZADD', import .. ':code:' .. codes[n], redis.call('ZSCORE', key, m), m)
        end
      end
    end
    redis.call('HSET', import, 'by_trouble', 1)
  end)
end

local function in_pieces(name, to, list)
  for n = 1, #list, 1000 do redis.call(name, to, unpack(list, n, math.min(n + 999, #list))) end
end

-- The mailboxes by their rank among the logins of a side. With those of the source stand their texts, "login\0other login\0id\n",
-- in one string: to look through it takes a hundredth of what as many strings take. Where nothing can be kept it is the ids in this
-- order and the string that are returned, and not a key.
local function ranked(side)
  local ranks, sorting = import .. ':ranked_' .. side, import .. ':sorted:names'
  if redis.call('ZCARD', ranks) == all then return ranks end
  local first, second = 'source_login', 'destination_login'
  if side == 'destination' then first, second = second, first end
  local names = {}
  for _, m in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    local h = redis.call('HMGET', mailbox_key(m), first, second)
    names[#names + 1] = 0
    names[#names + 1] = string.gsub(string.lower(h[1] or '') .. '\0' .. string.lower(h[2] or ''), '\n', ' ') .. '\0' .. m
  end
  local kept = pcall(function()
    redis.call('DEL', ranks, sorting)
    in_pieces('ZADD', sorting, names)
    local sorted, places = redis.call('ZRANGE', sorting, 0, -1), {}
    redis.call('DEL', sorting)
    for n, name in ipairs(sorted) do places[2 * n - 1], places[2 * n] = n, string.sub(name, -length) end
    in_pieces('ZADD', ranks, places)
    if side == 'source' then redis.call('SET', import .. ':names', table.concat(sorted, '\n') .. '\n') end
  end)
  if kept then return ranks end
  local sorted, ids = {}, {}
  for n = 2, #names, 2 do sorted[n / 2] = names[n] end
  table.sort(sorted)
  for n, name in ipairs(sorted) do ids[n] = string.sub(name, -length) end
  return ids, table.concat(sorted, '\n') .. '\n'
end

-- A page of what is kept in the order that is asked for.
local function page_of(kept)
  local page = {redis.call('ZCARD', kept)}
  for n, m in ipairs(redis.call(down and 'ZREVRANGE' or 'ZRANGE', kept, start, start + count - 1)) do page[n + 1] = m end
  return page
end

if text == '' and (order == 'row' or login) then
  if login or #sets == 0 then table.insert(sets, 1, login and ranked(login) or key) end
  local met = {}
  if type(sets[1]) == 'table' then
    for _, m in ipairs(table.remove(sets, 1)) do
      local fits = true
      for _, one in ipairs(sets) do fits = fits and redis.call('ZSCORE', one, m) end
      if fits then met[#met + 1] = m end
    end
  elseif #sets == 1 then
    return page_of(sets[1])
  else
    -- Where several sets meet, the first says in which order.
    local asked = {unpack(sets)}
    asked[#asked + 1] = 'WEIGHTS'
    for n = 1, #sets do asked[#asked + 1] = n == 1 and 1 or 0 end
    met = redis.call('ZINTER', #sets, unpack(asked))
  end
  local page = {#met}
  for n = start + 1, math.min(start + count, #met) do page[#page + 1] = met[down and #met + 1 - n or n] end
  return page
end

local function set(list)
  local found = {}
  for _, m in ipairs(list) do found[m] = true end
  return found
end

-- Those of a list in the order of a kept set, or of a list of all.
local function in_order_of(kept, list)
  local unkept = type(kept) == 'table'
  if not unkept and #list * 8 < all then
    local scores = {}
    for _, m in ipairs(list) do scores[m] = tonumber(redis.call('ZSCORE', kept, m) or 0) end
    table.sort(list, function(a, b)
      if scores[a] ~= scores[b] then return scores[a] < scores[b] end
      return a < b
    end)
    return list
  end
  local there, found = set(list), {}
  for _, m in ipairs(unkept and kept or redis.call('ZRANGE', kept, 0, -1)) do
    if there[m] then found[#found + 1] = m end
  end
  return found
end

-- Ids whose logins hold the text, in order of the logins of the source.
local function named()
  local _, names = ranked('source')
  local found, at = {}, 1
  names = names or redis.call('GET', import .. ':names') or ''
  if string.find(text, '%z') then return found end
  while true do
    at = string.find(names, text, at, true)
    if not at then return found end
    local over = string.find(names, '\n', at, true)
    if not over then return found end
    -- What begins later is a part of the id.
    if at + #text < over - length then found[#found + 1] = string.sub(names, over - length, over - 1) end
    at = over + 1
  end
end

-- All that fit: by row, or with a text in order of the logins of the source.
local function fitting()
  if text == '' then
    if #sets == 0 then return redis.call('ZRANGE', key, 0, -1) end
    table.sort(sets, function(a, b) return redis.call('ZCARD', a) < redis.call('ZCARD', b) end)
  end
  local found = {}
  for _, m in ipairs(text == '' and redis.call('ZRANGE', table.remove(sets, 1), 0, -1) or named()) do
    local fits = true
    for _, one in ipairs(sets) do fits = fits and redis.call('ZSCORE', one, m) end
    if fits then found[#found + 1] = m end
  end
  return found
end

-- By the number that is asked for, equal ones as they stand. Value and place go into one number where it holds both exactly:
-- sorting is then several times as fast as with a function.
local function by_number(list)
  local values, keys, most, total = {}, {}, 0, #list
  for n, m in ipairs(list) do
    values[n] = tonumber(redis.call('HGET', mailbox_key(m), order) or 0)
    if values[n] > most then most = values[n] end
    keys[n] = n
  end
  local sign, span = down and -1 or 1, total + 1
  if most * span < 9007199254740992 then
    for n = 1, total do keys[n] = sign * values[n] * span + n end
    table.sort(keys)
    for n = 1, total do keys[n] = keys[n] % span end
  else
    table.sort(keys, function(a, b)
      if values[a] ~= values[b] then return sign * values[a] < sign * values[b] end
      return a < b
    end)
  end
  for n = 1, total do keys[n] = list[keys[n]] end
  return keys
end

-- A part of all mailboxes by that number, sorted once in five seconds, however often somebody looks, and anew where one is gone.
local function all_by_number(first, last)
  local sorted = import .. ':sorted:' .. order .. (down and ':down' or '')
  if redis.call('LLEN', sorted) ~= all then
    local list, part = by_number(redis.call('ZRANGE', key, 0, -1)), {}
    local kept = pcall(function()
      redis.call('DEL', sorted)
      in_pieces('RPUSH', sorted, list)
      redis.call('EXPIRE', sorted, 5)
    end)
    if not kept then
      for n = first + 1, math.min(last + 1, all) do part[#part + 1] = list[n] end
      return part
    end
  end
  return redis.call('LRANGE', sorted, first, last)
end

-- The sets of the states, by the names of the states.
local function by_state()
  local known, states = {}, {}
  for _, edges in pairs(MACHINES.mailbox) do
    for before, after in pairs(edges) do known[before], known[after] = true, true end
  end
  for name in pairs(known) do states[#states + 1] = name end
  table.sort(states)
  local kept = {}
  for n = 1, #states do kept[n] = import .. ':in:' .. states[down and #states + 1 - n or n] end
  return kept
end

-- Where all of them fit, no more is read than the page.
local number = not login and order ~= 'row' and order ~= 'state'
if text == '' and #sets == 0 and (order == 'state' or number and all > MANY) then
  local page, before = {all}, 0
  for _, one in ipairs(number and {key} or by_state()) do
    local size, first = redis.call('ZCARD', one), math.max(0, start - before)
    if first < size and #page <= count then
      local last = first + count - #page
      for _, m in ipairs(number and all_by_number(first, last) or redis.call('ZRANGE', one, first, last)) do page[#page + 1] = m end
    end
    before = before + size
  end
  return page
end

local found = fitting()
local sorts_all = order == 'state' or number and #found > MANY
if text ~= '' and not sorts_all then
  local by = login and ranked(login) or key
  if not number and #found == all and type(by) == 'string' then return page_of(by) end
  if login ~= 'source' then found = in_order_of(by, found) end
end
if number and sorts_all then
  local fits = set(found)
  found = {}
  for _, m in ipairs(all_by_number(0, all - 1)) do
    if fits[m] then found[#found + 1] = m end
  end
elseif number then
  found = by_number(found)
elseif order == 'state' then
  local fits = set(found)
  found = {}
  for _, one in ipairs(by_state()) do
    for _, m in ipairs(redis.call('ZRANGE', one, 0, -1)) do
      if fits[m] then found[#found + 1] = m end
    end
  end
end

-- What was sorted here stands as asked for; what is kept stands upwards.
local turned = down and (login or order == 'row')
local page = {#found}
for n = start + 1, math.min(start + count, #found) do page[#page + 1] = found[turned and #found + 1 - n or n] end
return page
