-- standing(import_id, wave or '', "least:most:switch" (ms) or 'off'): lets an import or a wave stand, or no longer. Returns 1 when done.
local i, wave = ARGV[1], ARGV[2]
if redis.call('EXISTS', import_key(i)) == 0 then return 0 end
if wave ~= '' and not redis.call('ZSCORE', import_key(i) .. ':waves', wave) then return 0 end
set_standing(i, wave, ARGV[3])
return 1
