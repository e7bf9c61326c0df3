-- find(import_id, state or '', code or '', text or '', order, descending '1' or '', start, count): a page of an import's
-- mailboxes: [how many fit, id, id, ...]. `text` (lower case) is looked for in both logins, `code` in the failure. Ordered
-- by "row", by logins, or by a field of the mailbox (equal ones stand by row). Everybody waits for this, so it asks for
-- little: logins never change, and are kept in order from the first time that somebody looks for one.
local key = import_key(ARGV[1]) .. ':mailboxes'
local state, code, text, order, down = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local start, count = tonumber(ARGV[7]), tonumber(ARGV[8])
local all = redis.call('ZCARD', key)
local login = string.match(order, '^(%l+)_login$')
local filtered = state ~= '' or code ~= '' or text ~= ''

-- "login\0other login\0id", in order.
local names = import_key(ARGV[1]) .. ':by_' .. (login or 'source')
if (login or text ~= '') and redis.call('ZCARD', names) < all then
  local first, second = 'source_login', 'destination_login'
  if login == 'destination' then first, second = second, first end
  for _, m in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    local h = redis.call('HMGET', mailbox_key(m), first, second)
    redis.call('ZADD', names, 0, string.lower(h[1] or '') .. '\0' .. string.lower(h[2] or '') .. '\0' .. m)
  end
end

local named = login or text ~= ''
local source = named and names or key
local length = #(redis.call('ZRANGE', key, 0, 0)[1] or '')
local function id(member) return named and string.sub(member, -length) or member end
if not filtered and (login or order == 'row') then
  local page = {all}
  for n, member in ipairs(redis.call(down and 'ZREVRANGE' or 'ZRANGE', source, start, start + count - 1)) do
    page[n + 1] = id(member)
  end
  return page
end

local marker = '"code": "' .. code .. '"'
local found, rows = {}, {}
for n, member in ipairs(redis.call('ZRANGE', source, 0, -1)) do
  local at = text ~= '' and string.find(member, text, 1, true)
  local m = (text == '' or at) and id(member)
  if m and (not at or at <= #member - length)
    and (state == '' or redis.call('HGET', mailbox_key(m), 'state') == state)
    and (code == '' or string.find(redis.call('HGET', mailbox_key(m), 'failure') or '', marker, 1, true)) then
    found[#found + 1] = m
    rows[#found] = n
  end
end

-- Strings that compare as wanted, then by row: without a function to compare them sorting is several times as fast.
local turned = down and order ~= 'row'
if not login and (named or order ~= 'row') then
  for n, m in ipairs(found) do
    local v, row = '', named and tonumber(redis.call('ZSCORE', key, m)) or rows[n]
    if order == 'state' then v = redis.call('HGET', mailbox_key(m), 'state') .. '\0'
    elseif order ~= 'row' then v = string.format('%016d', tonumber(redis.call('HGET', mailbox_key(m), order) or 0)) end
    found[n] = v .. string.format('%010d', turned and 9999999999 - row or row) .. '\0' .. m
  end
  table.sort(found)
end
local page = {#found}
for n = start + 1, math.min(start + count, #found) do
  page[#page + 1] = string.sub(found[down and #found + 1 - n or n], -length)
end
return page
