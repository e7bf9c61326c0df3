-- recheck(mailbox, delay_ms): what was sent under a lease that is lost may have arrived since, or be about to. A mailbox that
-- was verified, or is being, is planned after `delay_ms` and then verified once more; any other has that before it.
local m, delay = ARGV[1], tonumber(ARGV[2])
local h = redis.call('HMGET', mailbox_key(m), 'import', 'state')
local event = ({complete = 'again', verifying = 'replan'})[h[2]]
if not event then return 0 end
local key = import_key(h[1])
-- Without credentials nobody can look; what is cancelled nobody may.
if redis.call('EXISTS', key .. ':credentials') == 0 or redis.call('HGET', key, 'control') == 'cancel' then return 0 end
move_mailbox(m, event)
plan_unit(m)
local u = m .. '.plan'
if delay > 0 and redis.call('HGET', unit_key(u), 'state') == 'ready' then
  redis.call('ZREM', mailbox_key(m) .. ':ready', u)
  redis.call('HSET', unit_key(u), 'state', 'delayed')
  redis.call('ZADD', P .. 'delayed', clock() + delay, u)
end
redis.call('PERSIST', key .. ':credentials')
reopen_import(h[1])
refresh(m)
return 1
