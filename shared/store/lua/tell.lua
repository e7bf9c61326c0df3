-- tell(notice_id, notice, guard, hold_ms, mark, height): puts a notice into the outbox, unless its guard was set less than hold_ms ago. With
-- a mark it is told only when `height` is above what was told under it before. Returns 1 when it was put there.
local id, notice, guard, hold, mark, height = ARGV[1], ARGV[2], P .. 'told:' .. ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = clock()
if tonumber(redis.call('GET', guard) or '0') > now then return 0 end
if mark ~= '' then
  mark = P .. 'marks:' .. mark
  if tonumber(height) <= tonumber(redis.call('GET', mark) or '0') then return 0 end
  redis.call('SET', mark, height, 'PX', MARK_MS)
end
redis.call('SET', guard, string.format('%d', now + tonumber(hold)), 'PX', hold)
-- Where nobody sends, notices do not pile up.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', P .. 'notices:at', '-inf', now - DELIVERY_MS, 'LIMIT', 0, 100)) do
  redis.call('HDEL', P .. 'notices', old)
  redis.call('ZREM', P .. 'notices:at', old)
end
redis.call('HSET', P .. 'notices', id, notice)
redis.call('ZADD', P .. 'notices:at', now, id)
return 1
