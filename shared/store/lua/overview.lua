-- overview(only or ''): the shared state in numbers: [ready mailboxes, ready units, delayed, leased, workers, holds, import states,
-- accounts and hosts that owe what nobody waits for with a connection open, mailboxes that wait for their destination, mailboxes whose look is due,
-- since when the first is (ms), lanes of these workers that are at work]. With 'workers' only how many those are.
local now = clock()
local workers = redis.call('ZCOUNT', P .. 'workers', now - 30000, '+inf')
if ARGV[1] == 'workers' then return workers end
local alive, busy = {}, 0
for _, process in ipairs(redis.call('ZRANGEBYSCORE', P .. 'workers', now - 30000, '+inf')) do alive[process] = true end
for _, holder in ipairs(redis.call('HKEYS', P .. 'holders')) do
  if alive[process_of(holder)] then busy = busy + 1 end
end
local mailboxes, behind, states = 0, 0, {}
redis.call('ZREMRANGEBYSCORE', P .. 'owing', '-inf', now)
for _, line in ipairs(redis.call('ZRANGE', P .. 'lines', 0, -1)) do
  mailboxes = mailboxes + tonumber(redis.call('HGET', P .. 'served:' .. line, '#') or '0')
end
local units = tonumber(redis.call('GET', P .. 'ready_units') or '0')
for _, i in ipairs(redis.call('ZRANGE', P .. 'imports', 0, -1)) do
  behind = behind + redis.call('ZCARD', import_key(i) .. ':behind')
  states[#states + 1] = redis.call('HGET', import_key(i), 'state')
end
local looks = 0
for _, route in ipairs(redis.call('ZRANGE', P .. 'routes:' .. LOOKS, 0, -1)) do
  looks = looks + redis.call('ZCARD', P .. 'ready:' .. LOOKS .. '\0' .. route)
end
return {mailboxes, units, redis.call('ZCARD', P .. 'delayed'), redis.call('ZCARD', P .. 'leases'),
        workers, redis.call('ZRANGEBYSCORE', P .. 'holds', '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES'), states,
        redis.call('ZRANGE', P .. 'owing', 0, -1, 'WITHSCORES'), behind,
        looks, redis.call('ZRANGE', P .. 'routes:' .. LOOKS, 0, 0, 'WITHSCORES')[2] or '0', busy}
