-- waits(import_id): what the import waits for that is over by itself, five values each: what, key, until (ms, 0: unknown), why,
-- mailboxes. A hold concerns it when one of its mailboxes was told so, or when it is about one of its two hosts.
local i, now, found = ARGV[1], clock(), {}
local key = import_key(i)
local function add(...)
  for _, value in ipairs({...}) do found[#found + 1] = value end
end
local h = redis.call('HMGET', import_key(i), 'opens_at', 'shuts_at', 'window', 'source', 'destination')
if not h[4] then return {} end
if shut(h[1], h[2]) then add('window', '', now < tonumber(h[1]) and h[1] or '0', h[3], 0) end
local hosts = {source_host = cjson.decode(h[4]).host, destination_host = cjson.decode(h[5]).host}
local holds = redis.call('ZRANGEBYSCORE', P .. 'holds', '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 5000)
for n = 1, #holds, 2 do
  local scope, server = string.match(holds[n], '^([^:]*):(.*)$')
  local import, why = string.match(redis.call('HGET', P .. 'whys', holds[n]) or ':', '^([^:]*):(.*)$')
  if import == i or hosts[scope] == server then
    add(scope, server, holds[n + 1], why, string.match(scope, '_account$') and 1 or 0)
  end
end
local settling = redis.call('ZRANGEBYSCORE', import_key(i) .. ':settling', '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES')
if #settling > 0 then add('settle', '', settling[#settling], '', #settling / 2) end
local full, first = 0, nil
local again = redis.call('ZRANGE', P .. 'again', 0, -1, 'WITHSCORES')
for n = 1, #again, 2 do
  if redis.call('HGET', mailbox_key(again[n]), 'import') == i then
    full, first = full + 1, first or again[n + 1]
  end
end
if full > 0 then add('room', '', first, '', full) end
-- Waves that a person paused, or whose time has not come or is over, with how many of their mailboxes are not settled.
for _, wave in ipairs(redis.call('ZRANGE', key .. ':waves', 0, -1)) do
  local w = redis.call('HMGET', wave_key(i, wave), 'control', 'starts_at', 's:queued', 's:planning', 's:copying', 's:verifying',
    'opens_at', 'shuts_at', 'window')
  local open = 0
  for n = 3, 6 do open = open + tonumber(w[n] or '0') end
  if open > 0 and w[1] == 'pause' then
    add('wave_paused', wave, '0', '', open)
  elseif open > 0 and w[2] and tonumber(w[2]) > now then
    add('wave_start', wave, w[2], '', open)
  elseif open > 0 and shut(w[7], w[8]) then
    add('wave_hours', wave, now < tonumber(w[7]) and w[7] or '0', w[9], open)
  end
end
-- Mailboxes whose destination another has, by who that is.
local causes, order = {}, {}
for _, m in ipairs(redis.call('ZRANGE', import_key(i) .. ':behind', 0, -1)) do
  local b = redis.call('HMGET', mailbox_key(m), 'behind', 'destination_key', 'destination_login')
  local holder = redis.call('HGET', P .. 'destinations', b[2] or '')
  local word = holder and wish(holder) == 'pause' and 'destination_paused' or 'destination'
  local cause = word .. ':' .. (b[1] or '')
  if not causes[cause] then
    causes[cause] = {word, b[3], 0, b[1] or ''}
    order[#order + 1] = cause
  end
  causes[cause][3] = causes[cause][3] + 1
end
for _, cause in ipairs(order) do
  local c = causes[cause]
  add(c[1], c[3] == 1 and c[2] or '', '0', c[4], c[3])
end
return found
