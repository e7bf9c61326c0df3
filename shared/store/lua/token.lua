-- token(import_id, name, holder, stale, lock_ms): the sealed token of this name unless it has run out or is `stale`, as
-- {sealed, 0}. Else {'', ms} while another holder fetches one, or {'', 0}: it is ours to fetch.
local key, name, now = import_key(ARGV[1]) .. ':tokens', ARGV[2], clock()
local h = redis.call('HMGET', key, name, name .. '#')
if h[1] then
  local till, sealed = string.match(h[1], '^(%d+):(.*)$')
  if tonumber(till) > now and sealed ~= ARGV[4] then return {sealed, 0} end
end
if h[2] then
  local till, holder = string.match(h[2], '^(%d+):(.*)$')
  if tonumber(till) > now and holder ~= ARGV[3] then return {'', tonumber(till) - now} end
end
redis.call('HSET', key, name .. '#', string.format('%.0f', now + tonumber(ARGV[5])) .. ':' .. ARGV[3])
if redis.call('PTTL', key) < tonumber(ARGV[5]) then redis.call('PEXPIRE', key, ARGV[5]) end
return {'', 0}
