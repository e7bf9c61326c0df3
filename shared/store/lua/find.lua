-- find(import_id, state or '', code or '', text or '', order, descending '1' or '', start, count, wave or ''): a page of an import's
-- mailboxes: [how many fit, id, id, ...]. `text` (lower case) is looked for in both logins, `code` is that of the failure. Ordered
-- by "row", by logins, or by a field of the mailbox (equal ones stand by row). Everybody waits for this, so it asks for
-- little: states and codes are kept as they change, logins in order from the first time that somebody looks for one, and
-- numbers are sorted as numbers.
local import = import_key(ARGV[1])
local key = import .. ':mailboxes'
local state, code, text, order, down = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local start, count = tonumber(ARGV[7]), tonumber(ARGV[8])
local all = redis.call('ZCARD', key)
local login = string.match(order, '^(%l+)_login$')

-- The smallest kept set that holds all that fit, and the others that they must be in too.
local sets = {}
if state ~= '' then sets[#sets + 1] = import .. ':in:' .. state end
if code ~= '' then sets[#sets + 1] = import .. ':code:' .. code end
if ARGV[9] ~= '' then sets[#sets + 1] = import .. ':of:' .. ARGV[9] end
table.sort(sets, function(a, b) return redis.call('ZCARD', a) < redis.call('ZCARD', b) end)
local pool = table.remove(sets, 1) or key

local function in_others(m)
  for _, other in ipairs(sets) do
    if not redis.call('ZSCORE', other, m) then return false end
  end
  return true
end

-- "login\0other login\0id", in order.
local names = import .. ':by_' .. (login or 'source')
if (login or text ~= '') and redis.call('ZCARD', names) < all then
  local first, second = 'source_login', 'destination_login'
  if login == 'destination' then first, second = second, first end
  for _, m in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    local h = redis.call('HMGET', mailbox_key(m), first, second)
    redis.call('ZADD', names, 0, string.lower(h[1] or '') .. '\0' .. string.lower(h[2] or '') .. '\0' .. m)
  end
end
local length = #(redis.call('ZRANGE', key, 0, 0)[1] or '')

-- A page of what is kept in this order already.
local kept = text == '' and #sets == 0 and (order == 'row' and pool or login and pool == key and names)
if kept then
  local page = {redis.call('ZCARD', kept)}
  for n, member in ipairs(redis.call(down and 'ZREVRANGE' or 'ZRANGE', kept, start, start + count - 1)) do
    page[n + 1] = string.sub(member, -length)
  end
  return page
end

-- Ids whose names hold the text, in order of the names; without a text all.
local function named()
  local found = {}
  for _, member in ipairs(redis.call('ZRANGE', names, 0, -1)) do
    local at = text == '' or string.find(member, text, 1, true)
    if at == true or at and at <= #member - length then found[#found + 1] = string.sub(member, -length) end
  end
  return found
end

local function set(list)
  local found = {}
  for _, m in ipairs(list) do found[m] = true end
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

-- The same of many mailboxes once in five seconds, however often somebody looks.
local function all_by_number()
  local sorted = import .. ':sorted:' .. order .. (down and ':down' or '')
  local known = redis.call('LRANGE', sorted, 0, -1)
  if #known > 0 then return known end
  known = by_number(redis.call('ZRANGE', key, 0, -1))
  for n = 1, #known, 1000 do redis.call('RPUSH', sorted, unpack(known, n, math.min(n + 999, #known))) end
  redis.call('EXPIRE', sorted, 5)
  return known
end

-- By the names of the states.
local function by_state(list)
  local there, known, states, sorted = set(list), {}, {}, {}
  for _, edges in pairs(MACHINES.mailbox) do
    for before, after in pairs(edges) do known[before], known[after] = true, true end
  end
  for name in pairs(known) do states[#states + 1] = name end
  table.sort(states)
  for n = 1, #states do
    for _, m in ipairs(redis.call('ZRANGE', import .. ':in:' .. states[down and #states + 1 - n or n], 0, -1)) do
      if there[m] then sorted[#sorted + 1] = m end
    end
  end
  return sorted
end

-- All that fit, in the order in which they are kept: by login, by a number, or by row.
local number = not login and order ~= 'row' and order ~= 'state'
local known = number and pool == key and all > 5000
local fits = (text ~= '' and not login) and set(named()) or (login and pool ~= key) and set(redis.call('ZRANGE', pool, 0, -1)) or nil
local found = {}
for _, m in ipairs(login and named() or known and all_by_number() or redis.call('ZRANGE', pool, 0, -1)) do
  if (not fits or fits[m]) and in_others(m) then found[#found + 1] = m end
end
if number and not known then found = by_number(found) elseif order == 'state' then found = by_state(found) end

-- What was sorted here stands as asked for; what is kept stands upwards.
local turned = down and (login or order == 'row')
local page = {#found}
for n = start + 1, math.min(start + count, #found) do page[#page + 1] = found[turned and #found + 1 - n or n] end
return page
