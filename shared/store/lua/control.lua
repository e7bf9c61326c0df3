-- control(import_id, mailbox_id or '', word, wave or ''): run, pause or cancel, of the whole import, of one mailbox or of a wave.
-- Cancelled mailboxes leave the queue for good; a lane at work stops at its next group. Returns how many mailboxes it
-- concerns: those that are not settled, and with cancel also those that are parked or were cancelled before.
local i, one, word = ARGV[1], ARGV[2], ARGV[3]
local key = import_key(i)
if redis.call('EXISTS', key) == 0 then return 0 end
if one ~= '' and redis.call('HGET', mailbox_key(one), 'import') ~= i then return 0 end
local wave = ARGV[4]
if wave ~= '' and not redis.call('ZSCORE', key .. ':waves', wave) then return 0 end
local all = {one}
if wave ~= '' then
  -- A cancelled wave is none that stays so: what is cancelled are its mailboxes.
  redis.call('HSET', wave_key(i, wave), 'control', word == 'pause' and 'pause' or 'run')
  all = redis.call('ZRANGE', members_key(i, wave), 0, -1)
elseif one == '' then
  redis.call('HSET', key, 'control', word)
  all = redis.call('ZRANGE', key .. ':mailboxes', 0, -1)
end
local n = 0
for _, m in ipairs(all) do
  if one ~= '' or word == 'run' then redis.call('HSET', mailbox_key(m), 'control', word) end
  if word == 'cancel' then
    if move_mailbox(m, 'cancel') then n = n + 1 end
  elseif not SETTLED[redis.call('HGET', mailbox_key(m), 'state')] then
    n = n + 1
  end
  refresh(m)
end
if word == 'cancel' and one == '' then set_standing(i, wave, 'off') end
settle_import(i)
return n
