-- hours(import_id, window, opens_ms, shuts_ms, renew, wave or '', piece): the hours in which the import, or a wave of it, may work (''
-- for all), and the span of them that is now or comes next. With renew = '1' only the span, unless a person gave other hours meanwhile.
-- Returns {1 when done, whether mailboxes are left to sweep}.
local i, window, opens = ARGV[1], ARGV[2], tonumber(ARGV[3])
local wave, piece = ARGV[6], tonumber(ARGV[7])
local key, queue, name = import_key(i), P .. 'opening', i
if redis.call('EXISTS', key) == 0 then return {0, 0} end
-- The hours are renewed again soon, by the coordinator, which may not make the calls of a change.
if ARGV[5] == '1' and edited(i) then return {0, 0} end
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
if wave ~= '' then
  if not redis.call('ZSCORE', key .. ':waves', wave) then return {0, 0} end
  key, queue, name = wave_key(i, wave), P .. 'starting', i .. ':' .. wave .. '\0hours'
end
if ARGV[5] == '1' and (redis.call('HGET', key, 'window') or '') ~= window then return {0, 0} end
redis.call('ZREM', queue, name)
if window == '' then
  redis.call('HDEL', key, 'window', 'opens_at', 'shuts_at')
else
  redis.call('HSET', key, 'window', window, 'opens_at', ARGV[3], 'shuts_at', ARGV[4])
  if opens > clock() then redis.call('ZADD', queue, opens, name) end
end
begin_sweep(i, 'refresh', wave)
return {1, sweep_on(i, piece)}
