-- waits(import_id): what the import waits for that is over by itself, five values each: what, key, until (ms, 0: unknown), why,
-- mailboxes. A hold concerns it when one of its mailboxes was told so, or when it is about one of its two hosts.
local i, now, found = ARGV[1], clock(), {}
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
local full, first = 0, nil
local again = redis.call('ZRANGE', P .. 'again', 0, -1, 'WITHSCORES')
for n = 1, #again, 2 do
  if redis.call('HGET', mailbox_key(again[n]), 'import') == i then
    full, first = full + 1, first or again[n + 1]
  end
end
if full > 0 then add('room', '', first, '', full) end
return found
