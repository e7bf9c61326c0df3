-- lanes(start, start, start, start, most, most, most, most): the places of which lanes told something in the last minute, and those at
-- which something was found, no more than a thousand, those heard of last first: [now, [name, lanes, start, most, [field, value,
-- ...]], ...]. start, most: of each scope, where nothing is set.
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
