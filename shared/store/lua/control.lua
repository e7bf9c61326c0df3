-- control(import_id, mailbox_id or '', word, wave or '', piece): run, pause or cancel, of the whole import, of one mailbox or of a wave.
-- Cancelled mailboxes leave the queue for good; a lane at work stops at its next group. Returns {how many mailboxes it concerns, whether
-- any are left to sweep}: those that are not settled, and with cancel also those that are parked or were cancelled before.
local i, one, word, wave, piece = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local key = import_key(i)
if redis.call('EXISTS', key) == 0 then return {0, 0} end
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
if one ~= '' then
  if redis.call('HGET', mailbox_key(one), 'import') ~= i then return {0, 0} end
  local concerns = not SETTLED[redis.call('HGET', mailbox_key(one), 'state')]
  redis.call('HSET', mailbox_key(one), 'control', word)
  if word == 'cancel' then concerns = move_mailbox(one, 'cancel') end
  refresh(one)
  settle_import(i)
  return {concerns and 1 or 0, 0}
end
if wave ~= '' and not redis.call('ZSCORE', key .. ':waves', wave) then return {0, 0} end
local sums, all = key, key .. ':mailboxes'
if wave == '' then
  redis.call('HSET', key, 'control', word)
else
  -- While a wave is being cancelled nothing of it is begun.
  sums, all = wave_key(i, wave), members_key(i, wave)
  redis.call('HSET', sums, 'control', word == 'run' and 'run' or 'pause')
end
local h = redis.call('HMGET', sums, 's:complete', 's:parked', 's:cancelled')
local n = redis.call('ZCARD', all) - tonumber(h[1] or '0')
if word == 'cancel' then set_standing(i, wave, 'off') else n = n - tonumber(h[2] or '0') - tonumber(h[3] or '0') end
begin_sweep(i, word == 'pause' and 'refresh' or word, wave)
return {n, sweep_on(i, piece)}
