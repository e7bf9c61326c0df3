-- spread(notice_id, target, target, …): makes a delivery of the notice for each target, in place of the notice. Returns how many.
local id, now = ARGV[1], clock()
local notice = redis.call('HGET', P .. 'notices', id)
if not notice then return 0 end
for at = 2, #ARGV do
  local delivery = id .. ':' .. ARGV[at]
  redis.call('HSET', delivery_key(delivery), 'notice', notice, 'target', ARGV[at], 'attempts', 0, 'first_at', now, 'why', '')
  redis.call('ZADD', P .. 'outbox', now, delivery)
end
redis.call('HDEL', P .. 'notices', id)
redis.call('ZREM', P .. 'notices:at', id)
return #ARGV - 1
