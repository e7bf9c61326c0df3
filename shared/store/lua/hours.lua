-- hours(import_id, window, opens_ms, shuts_ms, renew): the hours in which the import may work ('' for all), and the span of them
-- that is now or comes next. With renew = '1' only the span, unless a person gave other hours meanwhile. Returns 1 when done.
local i, window, opens = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = import_key(i)
if redis.call('EXISTS', key) == 0 then return 0 end
if ARGV[5] == '1' and (redis.call('HGET', key, 'window') or '') ~= window then return 0 end
redis.call('ZREM', P .. 'opening', i)
if window == '' then
  redis.call('HDEL', key, 'window', 'opens_at', 'shuts_at')
else
  redis.call('HSET', key, 'window', window, 'opens_at', ARGV[3], 'shuts_at', ARGV[4])
  if opens > clock() then redis.call('ZADD', P .. 'opening', opens, i) end
end
for _, m in ipairs(redis.call('ZRANGE', key .. ':mailboxes', 0, -1)) do refresh(m) end
return 1
