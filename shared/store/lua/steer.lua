-- steer(name, version, field, value, ...): enters how many lanes a place lets in, if what was known there is still of this version
-- (0: nothing). Returns 1 if so.
local now = clock()
local key = renew_lanes(ARGV[1], now)
if (redis.call('HGET', key, 'version') or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', key, unpack(ARGV, 3))
note_lanes(ARGV[1], now)
return 1
