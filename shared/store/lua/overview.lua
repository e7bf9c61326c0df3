-- overview(): the shared state in numbers: [ready mailboxes, ready units, delayed, leased, workers, holds, import states,
-- accounts and hosts that owe what nobody waits for with a connection open]
local now = clock()
local mailboxes, units, states = 0, 0, {}
redis.call('ZREMRANGEBYSCORE', P .. 'owing', '-inf', now)
for _, route in ipairs(redis.call('ZRANGE', P .. 'routes', 0, -1)) do
  for _, m in ipairs(redis.call('ZRANGE', P .. 'ready:' .. route, 0, -1)) do
    mailboxes = mailboxes + 1
    units = units + redis.call('ZCARD', mailbox_key(m) .. ':ready')
  end
end
for _, i in ipairs(redis.call('ZRANGE', P .. 'imports', 0, -1)) do
  states[#states + 1] = redis.call('HGET', import_key(i), 'state')
end
return {mailboxes, units, redis.call('ZCARD', P .. 'delayed'), redis.call('ZCARD', P .. 'leases'),
        redis.call('ZCOUNT', P .. 'workers', now - 30000, '+inf'),
        redis.call('ZRANGEBYSCORE', P .. 'holds', '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES'), states,
        redis.call('ZRANGE', P .. 'owing', 0, -1, 'WITHSCORES')}
