-- rank(import_id, side, count): makes the next part of the order of an import's mailboxes by the logins of a side, which `find` reads: first
-- their names are sorted, `count` at a time, then each gets its rank. With the ranks of the source stand its names in one string:
-- to look through it takes a hundredth of what as many strings take. Begun anew where mailboxes came meanwhile; one that goes
-- takes with it what was begun. With "trouble" for the side it enters the mailboxes of an older version by their trouble with
-- messages. Returns 1 while something is left, else 0; nothing is made where the store takes no writes.
local import, side, count = import_key(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local key, sorting, ranks, names = import .. ':mailboxes', import .. ':sorting_' .. side, import .. ':ranked_' .. side, import .. ':names'
local all, placed = redis.call('ZCARD', key), redis.call('ZCARD', ranks)
if all == 0 or placed == all then return 0 end

local function enter_more()
  local begun, fields, codes = tonumber(redis.call('GET', sorting) or '0'), {}, {}
  for field, code in pairs(TROUBLE_OF) do fields[#fields + 1], codes[#codes + 1] = field, code end
  local page = redis.call('ZRANGE', key, begun, begun + count - 1, 'WITHSCORES')
  for at = 1, #page, 2 do
    for n, value in ipairs(redis.call('HMGET', mailbox_key(page[at]), unpack(fields))) do
      if value and tonumber(value) > 0 then redis.call('ZADD', import .. ':code:' .. codes[n], page[at + 1], page[at]) end
    end
  end
  redis.call('SET', sorting, begun + count, 'EX', 3600)
  if #page < 2 * count then
    redis.call('HSET', import, 'by_trouble', 1)
    redis.call('DEL', sorting)
  end
  return #page == 2 * count
end
if side == 'trouble' then
  local written, left = pcall(enter_more)
  return written and left and 1 or 0
end

local function sort_more(read)
  local page, more = redis.call('ZRANGE', key, read, read + count - 1), {}
  for n, m in ipairs(page) do more[2 * n - 1], more[2 * n] = 0, name_of(m, side) end
  redis.call('ZADD', sorting, unpack(more))
  redis.call('EXPIRE', sorting, 3600)
  redis.call('DEL', ranks)
  if side == 'source' then redis.call('DEL', names) end
  if redis.call('ZCARD', sorting) ~= read + #page then redis.call('DEL', sorting) end
end

local function place_more()
  local page, places, length = redis.call('ZRANGE', sorting, placed, placed + count - 1), {}, #redis.call('ZRANGE', key, 0, 0)[1]
  for n, name in ipairs(page) do places[2 * n - 1], places[2 * n] = placed + n, string.sub(name, -length) end
  redis.call('ZADD', ranks, unpack(places))
  if side == 'source' then redis.call('APPEND', names, table.concat(page, '\n') .. '\n') end
  if placed + #page == all then redis.call('DEL', sorting) end
end

local written = pcall(function()
  local read = redis.call('ZCARD', sorting)
  if read > all then
    redis.call('DEL', sorting)
    read = 0
  end
  if read < all then sort_more(read) else place_more() end
end)
return written and redis.call('ZCARD', ranks) ~= all and 1 or 0
