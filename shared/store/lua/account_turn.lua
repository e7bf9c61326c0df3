-- account_turn(unit, term, holder, service, interval_ms): when this mailbox may ask the account service, in milliseconds
-- from now; 0 for now. Turns are `interval_ms` apart for all workers together, and each is given to one mailbox, which
-- finds its own again when it comes back: nobody asks over and over. A turn that was used, or that the service has
-- asked to wait beyond, is void.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local m = mailbox_key(redis.call('HGET', unit_key(u), 'mailbox'))
local key, now = P .. 'accounts:' .. ARGV[4], clock()
local h = redis.call('HMGET', key, 'next', 'until')
local free, held = tonumber(h[1] or '0'), tonumber(h[2] or '0')
local turn = tonumber(redis.call('HGET', m, 'account_turn') or '0')
if turn == 0 or turn < held then
  turn = math.max(now, free, held)
  redis.call('HSET', key, 'next', string.format('%.0f', turn + tonumber(ARGV[5])))
  redis.call('PEXPIRE', key, string.format('%.0f', turn - now + 86400000))
end
if turn > now then
  redis.call('HSET', m, 'account_turn', string.format('%.0f', turn))
  return turn - now
end
redis.call('HDEL', m, 'account_turn')
return 0
