-- sweep(import_id or '', piece): does the next piece of an import's sweep; with '' of the oldest one, after it began what the hours and
-- starts that have come make due. Returns 1 while something is left, else 0.
local i, piece = ARGV[1], tonumber(ARGV[2])
if i ~= '' then return sweep_on(i, piece) end
local now = clock()
begin_due('opening', now)
begin_due('starting', now)
local oldest = redis.call('ZRANGE', P .. 'sweeping', 0, 0)[1]
if oldest then sweep_on(oldest, piece) end
if redis.call('EXISTS', P .. 'sweeping') == 1 then return 1 end
return (is_due('opening', now) or is_due('starting', now)) and 1 or 0
