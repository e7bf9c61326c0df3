-- move(import_id, mailbox_id, moves, wave, priority or ''): with moves = '1' puts a mailbox into a wave ('' for none); sets its priority
-- when one is given. Where it may be served now, and no lane is at it, it is urgent: the next lane takes it, and if none is
-- free, one gives way (see attend.lua). Returns 1 when there is such a mailbox.
local i, m = ARGV[1], ARGV[2]
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
local key = mailbox_key(m)
if redis.call('HGET', key, 'import') ~= i then return 0 end
if ARGV[3] == '1' then set_wave(m, ARGV[4]) end
if ARGV[5] ~= '' then set_priority(m, tonumber(ARGV[5])) end
plan_look(m)
refresh(m)
redis.call('ZREM', P .. 'urgent', m)
if not redis.call('HGET', key, 'stands') then return 1 end
for _, u in ipairs(redis.call('SMEMBERS', key .. ':open')) do
  if redis.call('HGET', unit_key(u), 'state') == 'leased' then return 1 end
end
redis.call('HSET', key, 'moved_at', string.format('%.0f', clock()))
redis.call('ZADD', P .. 'urgent', clock() + GIVE_WAY_MS, m)
return 1
