-- lead(holder, ttl_ms, post): a post ('leader', 'sender') by lease and term. Returns the term, or 0 while somebody else has it.
local key = P .. ARGV[3]
local h = redis.call('HMGET', key, 'holder', 'term', 'until')
local now = clock()
local leads = h[1] and tonumber(h[3]) > now
if leads and h[1] ~= ARGV[1] then return 0 end
local term = leads and tonumber(h[2]) or redis.call('INCR', P .. 'terms')
redis.call('HSET', key, 'holder', ARGV[1], 'term', term, 'until', now + tonumber(ARGV[2]))
return term
