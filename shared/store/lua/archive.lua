-- archive(import_id, '1' or '0'): puts an import that does not run into the archive, or takes it back. Nothing else changes. Repeated, it
-- changes nothing, and the moment stays. Returns 1 when it was changed.
local key, away = import_key(ARGV[1]), ARGV[2] == '1'
local h = redis.call('HMGET', key, 'state', 'archived_at', 's:planning', 's:copying', 's:verifying')
if not h[1] then return 0 end
if edited(ARGV[1]) then return redis.error_reply('SWEEPING ' .. ARGV[1]) end
if away == (h[2] and true or false) then return 0 end
if not away then return redis.call('HDEL', key, 'archived_at') end
local busy = tonumber(h[3] or '0') + tonumber(h[4] or '0') + tonumber(h[5] or '0')
if h[1] == 'running' or busy > 0 then return redis.error_reply('UNDERWAY import ' .. ARGV[1] .. ' is under way') end
redis.call('HSET', key, 'archived_at', clock())
return 1
