-- decide(token, calls, import_id, …): from here on a change of these imports counts whose calls stand in edit:T, so many of them; who reads
-- or changes one of the imports makes the calls first (redis_at_once.py). Without import ids it ends a change of which no call is left.
local edit = P .. 'edit:' .. ARGV[1]
if #ARGV == 2 then
  if redis.call('EXISTS', edit) == 0 then end_edit(ARGV[1]) end
  return 0
end
if redis.call('LLEN', edit) ~= tonumber(ARGV[2]) then return redis.error_reply('CHANGED') end
for n = 3, #ARGV do
  if edited(ARGV[n]) then return redis.error_reply('CHANGED') end
end
redis.call('PERSIST', edit)
for n = 3, #ARGV do redis.call('HSET', P .. 'edits', ARGV[n], ARGV[1]) end
return 1
