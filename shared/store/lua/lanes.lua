-- lanes(start, start, start, start, most, most, most, most): returns at most a thousand places, the one heard of last first: those
-- whose lanes reported in the last minute, and those for which a number of lanes was found. The answer is [now, [name, lanes, start,
-- most, [field, value, ...]], ...]. start, most: the limits of each scope where the operator set none.
local now = clock()
redis.call('ZREMRANGEBYSCORE', P .. 'lanes', '-inf', now - LANES_MS)
local number, found = {}, {string.format('%.0f', now)}
for n, scope in ipairs(SCOPES) do number[scope] = n end
for _, name in ipairs(redis.call('ZREVRANGE', P .. 'lanes', 0, 999)) do
  local key = P .. 'lanes:' .. name
  if tonumber(redis.call('ZSCORE', P .. 'lanes', name)) >= now - TOLD_MS or redis.call('HEXISTS', key, 'limit') == 1 then
    local scope, of = string.match(name, '^([^:]*):(.*)$')
    local start, most = set_lanes(scope, of, ARGV[number[scope]], ARGV[4 + number[scope]])
    found[#found + 1] = {name, redis.call('ZCOUNT', P .. 'permits:' .. name, '(' .. now, '+inf'), start, most, redis.call('HGETALL', key)}
  end
end
return found
