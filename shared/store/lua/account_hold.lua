-- account_hold(service, ms): nobody asks this account service for so long; never shortens what was said before.
local key, now = P .. 'accounts:' .. ARGV[1], clock()
local held = math.max(tonumber(redis.call('HGET', key, 'until') or '0'), now + tonumber(ARGV[2]))
redis.call('HSET', key, 'until', string.format('%.0f', held))
redis.call('PEXPIRE', key, string.format('%.0f', held - now + 86400000))
return 'OK'
