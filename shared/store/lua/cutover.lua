-- cutover(import_id, wave, before, after, name, before, after, …): replaces the row of a wave's cutover, and notes beside it, where each
-- is as it was read; '' stands for none. What stands already as it is to be counts as replaced. Returns 1 when all of it stands.
local i, wave = ARGV[1], ARGV[2]
local rows, notes = import_key(i) .. ':cutovers', import_key(i) .. ':cutover:' .. wave
if redis.call('EXISTS', import_key(i)) == 0 then return 0 end
local function fits(key, name, before, after)
  local now = redis.call('HGET', key, name) or ''
  return now == before or now == after
end
local function put(key, name, after)
  if after == '' then redis.call('HDEL', key, name) else redis.call('HSET', key, name, after) end
end
if not fits(rows, wave, ARGV[3], ARGV[4]) then return 0 end
for n = 5, #ARGV, 3 do
  if not fits(notes, ARGV[n], ARGV[n + 1], ARGV[n + 2]) then return 0 end
end
put(rows, wave, ARGV[4])
for n = 5, #ARGV, 3 do put(notes, ARGV[n], ARGV[n + 2]) end
return 1
