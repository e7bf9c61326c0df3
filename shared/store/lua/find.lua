-- find(import_id, state or '', code or '', text or '', order, descending '1' or '', start, count, wave or '', walk): a page
-- of an import's mailboxes: [how many fit, id, id, ...]. Everybody waits for this, so it looks at `walk` mailboxes at most: states and codes
-- are kept as they change, and numbers are sorted as numbers. Where it needs what is not made yet it is [-1, what], and the caller lets
-- it be made in pieces: "source" or "destination", the ranks of that side's logins, or "trouble" (rank.lua), or "found", what fits (gather.lua).
-- `text` (lower case) is looked for in both logins, `code` is that of the failure, or of a kind of trouble with messages. Ordered by "row", by
-- logins, or by a field of the mailbox (equal ones stand by row). It is a read: where the store takes no writes nothing can be kept, and with
-- `walk` = 0 the page is the same, of one script.
local import = import_key(ARGV[1])
local key = import .. ':mailboxes'
local state, code, text, order, down = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local start, count, wave, walk = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local all = redis.call('ZCARD', key)
local login = login_side(order)
local length = #(redis.call('ZRANGE', key, 0, 0)[1] or '')
local most = walk > 0 and walk or all

local function kept_ranks(side)
  local ranks = import .. ':ranked_' .. side
  return redis.call('ZCARD', ranks) == all and ranks
end
if walk > 0 and all > 0 then
  for _, side in ipairs({text ~= '' and 'source' or login, login}) do
    if not kept_ranks(side) then return {-1, side} end
  end
  -- An import that an older version opened has its mailboxes by their trouble with messages from the first such search on.
  for _, one in pairs(TROUBLE_OF) do
    if one == code and not redis.call('HGET', import, 'by_trouble') then return {-1, 'trouble'} end
  end
end
local sets = sets_of(import, state, code, wave)

-- The mailboxes by their rank among the logins of a side, and the string with the texts of the source (rank.lua). Where they are not
-- made it is the ids in this order, and not a key.
local function ranked(side)
  local ranks = kept_ranks(side)
  if ranks then return ranks, redis.call('GET', import .. ':names') or '' end
  local names, ids = {}, {}
  for n, m in ipairs(redis.call('ZRANGE', key, 0, -1)) do names[n] = name_of(m, side) end
  table.sort(names)
  for n, name in ipairs(names) do ids[n] = string.sub(name, -length) end
  return ids, table.concat(names, '\n') .. '\n'
end

-- A page of what is kept in the order that is asked for.
local function page_of(kept)
  local page = {redis.call('ZCARD', kept)}
  for n, m in ipairs(redis.call(down and 'ZREVRANGE' or 'ZRANGE', kept, start, start + count - 1)) do page[n + 1] = m end
  return page
end

-- Where all that is kept in one order fits, no more is read than the page.
if text == '' and order == 'row' and #sets < 2 then return page_of(sets[1] or key) end
if text == '' and login and #sets == 0 and kept_ranks(login) then return page_of(kept_ranks(login)) end
if text == '' and order == 'state' and #sets == 0 then
  local page, before, states = {all}, 0, states_by_name()
  for n = 1, #states do
    local one = import .. ':in:' .. states[down and #states + 1 - n or n]
    local size, first = redis.call('ZCARD', one), math.max(0, start - before)
    if first < size and #page <= count then
      for _, m in ipairs(redis.call('ZRANGE', one, first, first + count - #page)) do page[#page + 1] = m end
    end
    before = before + size
  end
  return page
end

-- Ids whose logins hold the text, in order of the logins of the source; nil: more than may be looked at.
local function named()
  local _, names = ranked('source')
  local found, at = {}, 1
  if string.find(text, '%z') then return found end
  while true do
    at = string.find(names, text, at, true)
    if not at then return found end
    local over = string.find(names, '\n', at, true)
    if not over then return found end
    -- What begins later is a part of the id.
    if at + #text < over - length then found[#found + 1] = string.sub(names, over - length, over - 1) end
    if #found > most then return nil end
    at = over + 1
  end
end

-- All that fit: by row, or with a text in order of the logins of the source; nil: more than may be looked at.
local function fitting()
  local list
  if text ~= '' then list = named()
  elseif redis.call('ZCARD', sets[1] or key) <= most then list = redis.call('ZRANGE', sets[1] or key, 0, -1) end
  if not list then return nil end
  local found = {}
  for _, m in ipairs(list) do
    if in_all(sets, m, text == '' and 2 or 1) then found[#found + 1] = m end
  end
  return found
end

local found = fitting()
if not found then
  local kept = found_key(import, state, code, text, order, ARGV[6], wave)
  if redis.call('GET', kept .. ':at') ~= 'all:' .. all then return {-1, 'found'} end
  local page = {redis.call('ZCARD', kept)}
  for n, m in ipairs(redis.call('ZRANGE', kept, start, start + count - 1)) do page[n + 1] = string.sub(m, ROW_DIGITS + 1) end
  return page
end

-- Those of a list by their scores in a kept set, or as they stand in a list of all.
local function in_order_of(kept, list)
  local scores = {}
  if type(kept) == 'table' then
    for n, m in ipairs(kept) do scores[m] = n end
  else
    for _, m in ipairs(list) do scores[m] = tonumber(redis.call('ZSCORE', kept, m) or 0) end
  end
  table.sort(list, function(a, b)
    if scores[a] ~= scores[b] then return scores[a] < scores[b] end
    return a < b
  end)
  return list
end

-- By a number of each, equal ones as they stand. Value and place go into one number where it holds both exactly: sorting is then
-- several times as fast as with a function.
local function by_number(list, value_of)
  local values, keys, biggest, total = {}, {}, 0, #list
  for n, m in ipairs(list) do
    values[n] = value_of(m)
    if values[n] > biggest then biggest = values[n] end
    keys[n] = n
  end
  local sign, span = down and -1 or 1, total + 1
  if biggest * span < 9007199254740992 then
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

if text ~= '' and login ~= 'source' or login and text == '' then found = in_order_of(login and ranked(login) or key, found) end
if not login and order ~= 'row' then
  local places = {}
  for n, name in ipairs(states_by_name()) do places[name] = n end
  found = by_number(found, function(m)
    local value = redis.call('HGET', mailbox_key(m), order)
    return order == 'state' and places[value] or tonumber(value or 0)
  end)
end

-- What was sorted by a number stands as asked for; all else stands upwards.
local turned = down and (login or order == 'row')
local page = {#found}
for n = start + 1, math.min(start + count, #found) do page[#page + 1] = found[turned and #found + 1 - n or n] end
return page
