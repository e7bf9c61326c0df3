-- settle_delivery(id, how, attempts, after_ms, why): 'sent' and 'drop' end it; 'failed' has it tried again, not before after_ms, for a day
-- since it was put into the outbox; 'never' gives it up at once; 'anew' has one that was given up tried again for a day. What an attempt
-- says that is not the last one changes nothing, unless it says that the notice was sent. Returns what became of it: 'gone', 'due',
-- 'given up', or nothing.
local id, how, attempts, after, why = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local key, now = delivery_key(id), clock()
local h = redis.call('HMGET', key, 'attempts', 'first_at')
if not h[1] then return '' end
local waits = redis.call('ZSCORE', P .. 'outbox', id)
if how == 'sent' or how == 'drop' then
  redis.call('ZREM', P .. 'outbox', id)
  redis.call('ZREM', P .. 'undelivered', id)
  redis.call('DEL', key)
  return 'gone'
elseif how == 'anew' then
  if waits then return 'due' end
  redis.call('ZREM', P .. 'undelivered', id)
  redis.call('HSET', key, 'attempts', 0, 'first_at', now)
  redis.call('ZADD', P .. 'outbox', now, id)
  return 'due'
end
if not waits or h[1] ~= attempts then return '' end
redis.call('HSET', key, 'why', why)
if how == 'failed' and now < tonumber(h[2]) + DELIVERY_MS then
  redis.call('ZADD', P .. 'outbox', string.format('%d', math.max(tonumber(waits), now + after)), id)
  return 'due'
end
redis.call('ZREM', P .. 'outbox', id)
redis.call('ZADD', P .. 'undelivered', now, id)
for _, old in ipairs(redis.call('ZRANGE', P .. 'undelivered', 0, -MOST_UNDELIVERED - 1)) do
  redis.call('ZREM', P .. 'undelivered', old)
  redis.call('DEL', delivery_key(old))
end
return 'given up'
