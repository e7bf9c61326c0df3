-- gather(import_id, state or '', code or '', text or '', order, descending '1' or '', wave or '', piece): looks at the next mailboxes of
-- an import for a search that fits too many for one script (find.lua), so that nobody waits for it. What fits stands in its order where
-- `find` reads a page of it, for five seconds: what changes meanwhile is seen later. Returns 1 while something is left, else 0;
-- nothing is kept where the store takes no writes.
local import, state, code, text, order, down, wave = import_key(ARGV[1]), unpack(ARGV, 2, 7)
local piece = tonumber(ARGV[8])
local found = found_key(import, state, code, text, order, down, wave)
local whole = 'all:' .. redis.call('ZCARD', import .. ':mailboxes')
local at = redis.call('GET', found .. ':at')
if at == whole then return 0 end
if at and string.sub(at, 1, 4) == 'all:' then at = false end -- mailboxes came or went since

local sets, side, places = sets_of(import, state, code, wave), login_side(order), {}
local base = sets[1] or import .. ':mailboxes'
for n, name in ipairs(states_by_name()) do places[name] = n end

local function fits(m)
  if not in_all(sets, m, 2) then return false end
  if text == '' then return true end
  local logins = redis.call('HMGET', mailbox_key(m), 'source_login', 'destination_login')
  return string.find(string.lower(logins[1] or ''), text, 1, true) or string.find(string.lower(logins[2] or ''), text, 1, true)
end

local function value_of(m, row)
  if order == 'row' then return row end
  if side then return redis.call('ZSCORE', import .. ':ranked_' .. side, m) or '0' end
  local value = redis.call('HGET', mailbox_key(m), order)
  return order == 'state' and places[value] or value or '0'
end

-- All that have the last row of a page belong to it.
local page, more = redis.call('ZRANGEBYSCORE', base, at and '(' .. at or '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, piece), {}
local last = page[#page]
if #page == 2 * piece then
  local same = redis.call('ZRANGEBYSCORE', base, last, last)
  for _, m in ipairs(same) do page[#page + 1], page[#page + 2] = m, last end
end
for n = 1, #page, 2 do
  local m, row = page[n], page[n + 1]
  if fits(m) then
    more[#more + 1] = (down == '1' and -1 or 1) * tonumber(value_of(m, row))
    more[#more + 1] = string.format('%0' .. ROW_DIGITS .. 'd', row) .. m
  end
end
local written = pcall(function()
  if not at then redis.call('DEL', found) end
  for n = 1, #more, 1000 do redis.call('ZADD', found, unpack(more, n, math.min(n + 999, #more))) end
  if #page < 2 * piece then
    redis.call('EXPIRE', found, 10)
    redis.call('SET', found .. ':at', whole, 'EX', 5)
  else
    redis.call('EXPIRE', found, 60)
    redis.call('SET', found .. ':at', last, 'EX', 60)
  end
end)
return written and #page >= 2 * piece and 1 or 0
