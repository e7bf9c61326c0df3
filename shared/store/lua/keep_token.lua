-- keep_token(import_id, name, holder, sealed, ms): the token that was fetched, and how long it may be used; '' when none
-- was to be had. Others need not wait any longer.
local key, name, now = import_key(ARGV[1]) .. ':tokens', ARGV[2], clock()
local lock = redis.call('HGET', key, name .. '#')
if lock and string.match(lock, '^%d+:(.*)$') == ARGV[3] then redis.call('HDEL', key, name .. '#') end
if ARGV[4] ~= '' and tonumber(ARGV[5]) <= 0 then
  redis.call('HDEL', key, name) -- the one before was of no use either
elseif ARGV[4] ~= '' then
  redis.call('HSET', key, name, string.format('%.0f', now + tonumber(ARGV[5])) .. ':' .. ARGV[4])
  if redis.call('PTTL', key) < tonumber(ARGV[5]) then redis.call('PEXPIRE', key, ARGV[5]) end
end
return 'OK'
