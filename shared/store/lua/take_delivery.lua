-- take_delivery(term, retry_ms): the delivery that is due longest, for the sender of this term. The attempt is counted, and the next is put
-- off by twice as long each time. Returns {id, due_at, fields …}, or nothing.
local sender = redis.call('HMGET', P .. 'sender', 'term', 'until')
local now = clock()
if sender[1] ~= ARGV[1] or tonumber(sender[2]) <= now then return redis.error_reply('FENCED') end
while true do
  local id = redis.call('ZRANGEBYSCORE', P .. 'outbox', '-inf', now, 'LIMIT', 0, 1)[1]
  if not id then return {} end
  local key = delivery_key(id)
  if redis.call('HEXISTS', key, 'notice') == 1 then
    local attempts = redis.call('HINCRBY', key, 'attempts', 1)
    local due = now + math.min(tonumber(ARGV[2]) * 2 ^ (attempts - 1), LONGEST_RETRY_MS)
    redis.call('ZADD', P .. 'outbox', string.format('%d', due), id)
    return {id, string.format('%d', due), redis.call('HGETALL', key)}
  end
  redis.call('ZREM', P .. 'outbox', id)
  redis.call('DEL', key)
end
