-- standing(import_id, wave or '', "least:most:switch" (ms) or 'off', piece): lets an import or a wave stand, or no longer. Returns {1 when
-- done, whether mailboxes are left to sweep}.
local i, wave, piece = ARGV[1], ARGV[2], tonumber(ARGV[4])
if redis.call('EXISTS', import_key(i)) == 0 then return {0, 0} end
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
if wave ~= '' and not redis.call('ZSCORE', import_key(i) .. ':waves', wave) then return {0, 0} end
set_standing(i, wave, ARGV[3])
begin_sweep(i, 'look', wave)
return {1, sweep_on(i, piece)}
