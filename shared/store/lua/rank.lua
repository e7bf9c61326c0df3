-- rank(import_id, side, count): makes the next part of the order of an import's mailboxes by the logins of a side, which `find` reads: first
-- their names are sorted, `count` at a time, then each gets its rank. With the ranks of the source stand its names in one string:
-- to look through it takes a hundredth of what as many strings take. Begun anew where mailboxes came meanwhile; one that goes
-- takes with it what was begun. Returns 1 while something is left, else 0; nothing is made where the store takes no writes.
local import, side, count = import_key(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local key, ranks, names = import .. ':mailboxes', import .. ':ranked_' .. side, import .. ':names'
local sorting, placing, naming = import .. ':sorting_' .. side, import .. ':placing_' .. side, import .. ':naming'
local all = redis.call('ZCARD', key)
if all == 0 or redis.call('ZCARD', ranks) == all then return 0 end

local function sort_more(read)
  local page, more = redis.call('ZRANGE', key, read, read + count - 1), {}
  for n, m in ipairs(page) do more[2 * n - 1], more[2 * n] = 0, name_of(m, side) end
  redis.call('ZADD', sorting, unpack(more))
  redis.call('EXPIRE', sorting, 3600)
  redis.call('DEL', placing, naming)
  if redis.call('ZCARD', sorting) ~= read + #page then redis.call('DEL', sorting) end
  return 1
end

local function place_more(placed)
  local page, places, length = redis.call('ZRANGE', sorting, placed, placed + count - 1), {}, #redis.call('ZRANGE', key, 0, 0)[1]
  for n, name in ipairs(page) do places[2 * n - 1], places[2 * n] = placed + n, string.sub(name, -length) end
  redis.call('ZADD', placing, unpack(places))
  redis.call('EXPIRE', placing, 3600)
  if side == 'source' then
    redis.call('APPEND', naming, table.concat(page, '\n') .. '\n')
    redis.call('EXPIRE', naming, 3600)
  end
  if placed + #page < all then return 1 end
  redis.call('RENAME', placing, ranks)
  redis.call('PERSIST', ranks)
  if side == 'source' then
    redis.call('RENAME', naming, names)
    redis.call('PERSIST', names)
  end
  redis.call('DEL', sorting)
  return 0
end

local written, left = pcall(function()
  local read = redis.call('ZCARD', sorting)
  if read > all then redis.call('DEL', sorting) end
  if read ~= all then return sort_more(read > all and 0 or read) end
  return place_more(redis.call('ZCARD', placing))
end)
return written and left or 0
