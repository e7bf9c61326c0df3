-- seal(import_id, name, sealed, name, sealed, …): stores credentials; an empty text deletes those of this name. What comes after the end goes with the others.
-- What is for a mailbox that is not there is left out: it was erased while its import was written. Refusals of logins count no more.
local key = import_key(ARGV[1])
if redis.call('EXISTS', key) == 0 then return redis.error_reply('ILLEGAL no import ' .. ARGV[1]) end
if edited(ARGV[1]) then return redis.error_reply('SWEEPING ' .. ARGV[1]) end
for n = 2, #ARGV, 2 do
  local owner = string.match(ARGV[n], '^(.*):')
  if ARGV[n + 1] == '' then redis.call('HDEL', key .. ':credentials', ARGV[n])
  elseif owner == ARGV[1] or redis.call('EXISTS', mailbox_key(owner)) == 1 then
    redis.call('HSET', key .. ':credentials', ARGV[n], ARGV[n + 1])
  end
end
lift_brake(ARGV[1])
local h = redis.call('HMGET', key, 'state', 'retention')
if h[1] == 'finished' and redis.call('EXISTS', key .. ':standing') == 0 then
  redis.call('EXPIRE', key .. ':credentials', h[2] or 1209600)
end
return 'OK'
