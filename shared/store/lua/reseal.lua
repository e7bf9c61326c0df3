-- reseal(key, name, old, new, name, old, new, …): each field of a hash that is still `old` becomes `new`. Returns how many.
local renewed = 0
for n = 2, #ARGV, 3 do
  if redis.call('HGET', ARGV[1], ARGV[n]) == ARGV[n + 1] then
    redis.call('HSET', ARGV[1], ARGV[n], ARGV[n + 2])
    renewed = renewed + 1
  end
end
return renewed
