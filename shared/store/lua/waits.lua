-- waits(import_id): what the import waits for that is over by itself: how many of its mailboxes wait for their destinations (behind.lua
-- tells for whom), then five values for each other cause: what, key, until (ms, 0: unknown), why, mailboxes. A hold concerns the import
-- when one of its mailboxes was told so, or when it is about one of its two hosts.
local i, now = ARGV[1], clock()
local key = import_key(i)
local found = {redis.call('ZCARD', key .. ':behind')}
local function add(...)
  for _, value in ipairs({...}) do found[#found + 1] = value end
end
local h = redis.call('HMGET', import_key(i), 'opens_at', 'shuts_at', 'window', 'source', 'destination')
if not h[4] then return {0} end
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
local settling = redis.call('ZCOUNT', key .. ':settling', '(' .. string.format('%.0f', now), '+inf')
if settling > 0 then add('settle', '', redis.call('ZREVRANGE', key .. ':settling', 0, 0, 'WITHSCORES')[2], '', settling) end
local full = redis.call('ZCARD', key .. ':again')
if full > 0 then add('room', '', redis.call('ZRANGE', key .. ':again', 0, 0, 'WITHSCORES')[2], '', full) end
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
return found
