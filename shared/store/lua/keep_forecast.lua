-- keep_forecast(import_id, field, value): keeps a forecast ("made:<ms>") or an end ("end:<pass>:<wave>") of an import, unless one is kept
-- under this name. Of many forecasts the first and the newest stay. Returns 1 when it was kept.
local key = import_key(ARGV[1]) .. ':forecasts'
if redis.call('EXISTS', import_key(ARGV[1])) == 0 or redis.call('HSETNX', key, ARGV[2], ARGV[3]) == 0 then return 0 end
local made = {}
for _, name in ipairs(redis.call('HKEYS', key)) do
  if string.sub(name, 1, 5) == 'made:' then made[#made + 1] = name end
end
table.sort(made)
if #made > 20 then redis.call('HDEL', key, made[2]) end
return 1
