-- find(import_id, state or '', code or '', text or '', order, descending '1' or '', start, count): a page of an import's
-- mailboxes: [how many fit, id, id, ...]. `text` (lower case) is looked for in both logins, `code` in the failure. Ordered
-- by "row", or by a field of the mailbox; equal ones stand by row. Reads only.
local key = import_key(ARGV[1]) .. ':mailboxes'
local state, code, text, order, down = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local start, count = tonumber(ARGV[7]), tonumber(ARGV[8])
local filtered = state ~= '' or code ~= '' or text ~= ''
if not filtered and order == 'row' then
  local ids = redis.call(down and 'ZREVRANGE' or 'ZRANGE', key, start, start + count - 1)
  return {redis.call('ZCARD', key), unpack(ids)}
end
local fields, at = {}, {}
local function want(name)
  if not at[name] then fields[#fields + 1] = name; at[name] = #fields end
end
if order ~= 'row' then want(order) end
if state ~= '' then want('state') end
if code ~= '' then want('failure') end
if text ~= '' then want('source_login'); want('destination_login') end
local marker = '"code": "' .. code .. '"'
local found, value, place = {}, {}, {}
for n, m in ipairs(redis.call('ZRANGE', key, 0, -1)) do
  local h = redis.call('HMGET', mailbox_key(m), unpack(fields))
  local fits = (state == '' or h[at.state] == state)
    and (code == '' or (h[at.failure] and string.find(h[at.failure], marker, 1, true)))
    and (text == '' or string.find(string.lower(h[at.source_login] or ''), text, 1, true)
      or string.find(string.lower(h[at.destination_login] or ''), text, 1, true))
  if fits then
    found[#found + 1] = m
    place[m] = n
    if order ~= 'row' then
      local v = h[at[order]] or ''
      value[m] = string.match(order, 'login$') and string.lower(v) or tonumber(v) or v
    end
  end
end
if order ~= 'row' then
  -- A field that one mailbox has as a number and another not at all.
  local number = order ~= 'state' and not string.match(order, 'login$')
  if number then for _, m in ipairs(found) do if value[m] == '' then value[m] = 0 end end end
  table.sort(found, function(a, b)
    local x, y = value[a], value[b]
    if x == y then return place[a] < place[b] end
    if down then return x > y end
    return x < y
  end)
elseif down then
  local n = #found
  for one = 1, math.floor(n / 2) do found[one], found[n + 1 - one] = found[n + 1 - one], found[one] end
end
local page = {#found}
for n = start + 1, math.min(start + count, #found) do page[#page + 1] = found[n] end
return page
