-- Put before the scripts that queue: which mailboxes are wanted, in which line and queue each waits, and which one has a destination.

-- Whether an import's hours are over, or not yet there. They are renewed by the coordinator: without one they stay shut.
local function shut(opens, shuts)
  if not opens then return false end
  local now = clock()
  return now < tonumber(opens) or now >= tonumber(shuts)
end

-- Whether a wave is paused, has not begun, or is outside of its hours. A mailbox without one never waits for it.
local function held_back(i, wave)
  if not wave then return false end
  local h = redis.call('HMGET', wave_key(i, wave), 'control', 'starts_at', 'opens_at', 'shuts_at')
  return h[1] == 'pause' or (h[2] and clock() < tonumber(h[2])) or shut(h[3], h[4])
end

-- Whether a mailbox may be given work as far as people are concerned, its route, its destination if that must be free, and since
-- when its look is due. What an opened import adds waits until the request is whole: only then are its credentials there.
local function wanted(m)
  local h = redis.call('HMGET', mailbox_key(m), 'import', 'control', 'state', 'route', 'destination_key', 'wave', 'looking')
  if not h[1] then return false end
  if h[2] ~= 'run' or SETTLED[h[3]] and not h[7] then return false, h[4] end
  local i = redis.call('HMGET', import_key(h[1]), 'control', 'state', 'opens_at', 'shuts_at')
  return i[1] == 'run' and not (i[2] == 'opening' and h[3] == 'queued') and not shut(i[3], i[4])
    and not held_back(h[1], h[6]), h[4], not h[7] and h[5], h[7]
end

-- Who has a mailbox's destination, if another has it. It belongs to one mailbox at a time, from the claim of its plan until it is
-- settled, or only waits to verify; of a mailbox that an older version wrote it is unknown which it is.
local function occupant(m, destination)
  local holder = destination and redis.call('HGET', P .. 'destinations', destination)
  if holder and holder ~= m and redis.call('EXISTS', mailbox_key(holder)) == 1 then return holder end
end

-- Whether it may be given work now.
local function served(m)
  local may, _, destination = wanted(m)
  return may and not occupant(m, destination)
end

-- Who has the destination that a mailbox waits for, in words ("import NAME" or "row N"); nil: it does not wait.
local function set_behind(m, holder)
  local key, words = mailbox_key(m), false
  local h = redis.call('HMGET', key, 'behind', 'import', 'row')
  if holder then
    local o = redis.call('HMGET', mailbox_key(holder), 'import', 'row')
    words = o[1] == h[2] and 'row ' .. o[2] or 'import ' .. (redis.call('HGET', import_key(o[1]), 'name') or '')
  end
  if words == h[1] then return end
  if words then
    redis.call('HSET', key, 'behind', words)
    redis.call('ZADD', import_key(h[2]) .. ':behind', h[3] or 0, m)
  else
    redis.call('HDEL', key, 'behind')
    redis.call('ZREM', import_key(h[2]) .. ':behind', m)
  end
end

-- The age band of a unit stands in its order, above the places of its folder and batch. A verification is of the first.
local function band_of(order) return order < LAST and math.floor(order / BAND) or 0 end

-- Where a mailbox is to stand: its line ("import:wave"), and in it its queue ("tier:route"; the higher its priority, and then
-- the lower the age band of its next unit, the lower the tier, and lower ones are served first).
local function place_of(m)
  local h = redis.call('HMGET', mailbox_key(m), 'import', 'wave', 'priority', 'route')
  local following = redis.call('ZRANGE', mailbox_key(m) .. ':ready', 0, 0, 'WITHSCORES')[2]
  local tier = band_of(tonumber(following or '0')) - tonumber(h[3] or '0') * BANDS
  return h[1] .. ':' .. (h[2] or '') .. '\0' .. string.format('%d', tier) .. ':' .. h[4]
end

local function parts_of(place) return string.match(place, '^(.-)%z(.*)$') end
local function line_key(line) return wave_key(string.match(line, '^([^:]*):(.*)$')) end

-- Looks stand in queues of their own, one for each route, so that a host that is held keeps no other waiting. The routes are
-- ranked by their oldest look.
local function look_route(place) return string.match(place, '^%zlooks%z(.*)$') end
local function rank_looks(route)
  local first = redis.call('ZRANGE', P .. 'ready:' .. LOOKS .. '\0' .. route, 0, 0, 'WITHSCORES')
  if first[2] then redis.call('ZADD', P .. 'routes:' .. LOOKS, first[2], route) else redis.call('ZREM', P .. 'routes:' .. LOOKS, route) end
end

-- Newcomers start where the one chosen last stood, so that they neither wait nor overtake for long, however long the
-- others have been served (start-time fair queueing); the same among the queues of a line, and among lines.
local function enter_queue(m, place)
  local route = look_route(place)
  if route then
    local h = redis.call('HMGET', mailbox_key(m), 'looking', 'look_again')
    redis.call('ZADD', P .. 'ready:' .. place, h[2] or h[1], m)
    redis.call('HSET', mailbox_key(m), 'stands', place)
    rank_looks(route)
    return
  end
  local line, queue = parts_of(place)
  local served = P .. 'served:' .. line
  local last = redis.call('HMGET', served, queue, '')
  if redis.call('EXISTS', P .. 'ready:' .. place) == 0 then
    local own = tonumber(redis.call('ZSCORE', P .. 'routes:' .. line, queue) or '0')
    redis.call('ZADD', P .. 'routes:' .. line, math.max(own, tonumber(last[2] or '0')), queue)
  end
  if redis.call('HINCRBY', served, '#', 1) == 1 then
    local own = tonumber(redis.call('HGET', line_key(line), 'pass') or '0')
    redis.call('ZADD', P .. 'lines', math.max(own, tonumber(redis.call('HGET', P .. 'served', 'lines') or '0')), line)
  end
  local own = tonumber(redis.call('HGET', mailbox_key(m), 'pass') or '0')
  redis.call('ZADD', P .. 'ready:' .. place, math.max(own, tonumber(last[1] or '0')), m)
  redis.call('HSET', mailbox_key(m), 'stands', place)
end

local function leave_queue(m, place)
  local line = parts_of(place)
  redis.call('HDEL', mailbox_key(m), 'stands')
  local stood, route = redis.call('ZREM', P .. 'ready:' .. place, m) == 1, look_route(place)
  if route then
    rank_looks(route)
  elseif stood and redis.call('HINCRBY', P .. 'served:' .. line, '#', -1) <= 0 then
    redis.call('HDEL', P .. 'served:' .. line, '#')
    redis.call('ZREM', P .. 'lines', line)
  end
end

-- A mailbox stands in its queue exactly when it may be served: something is ready, nobody said no, and its destination is
-- free. How many units stand ready in all queues is counted here, so that nobody has to count them.
local function refresh(m)
  local key = mailbox_key(m)
  local may, route, destination, look = wanted(m)
  if not route then return end
  local ready = may and redis.call('ZCARD', key .. ':ready') or 0
  local holder = ready > 0 and occupant(m, destination)
  set_behind(m, holder)
  if holder then ready = 0 end
  local h = redis.call('HMGET', key, 'ready', 'stands')
  local counted = tonumber(h[1] or '0')
  if ready ~= counted then
    redis.call('HSET', key, 'ready', ready)
    redis.call('INCRBY', P .. 'ready_units', ready - counted)
  end
  local place = ready > 0 and (look and LOOKS .. '\0' .. route or place_of(m))
  if place == h[2] then return end
  if h[2] then leave_queue(m, h[2]) end
  if place then enter_queue(m, place) end
end

-- A mailbox belongs to one wave at most, and may be moved to another.
local function set_wave(m, wave)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'import', 'wave', 'state', 'row')
  if (h[2] or '') == wave then return end
  if h[2] then
    redis.call('ZREM', members_key(h[1], h[2]), m)
    redis.call('HINCRBY', wave_key(h[1], h[2]), 's:' .. h[3], -1)
  end
  redis.call('HDEL', key, 'wave', 'pass') -- what it was given elsewhere does not count here
  if wave == '' then return end
  redis.call('ZADD', import_key(h[1]) .. ':waves', 'NX', redis.call('ZCARD', import_key(h[1]) .. ':waves'), wave)
  redis.call('ZADD', members_key(h[1], wave), h[4] or 0, m)
  redis.call('HINCRBY', wave_key(h[1], wave), 's:' .. h[3], 1)
  redis.call('HSET', key, 'wave', wave)
end

local function set_priority(m, priority)
  local key = mailbox_key(m)
  if tonumber(redis.call('HGET', key, 'priority') or '0') == priority then return end
  redis.call('HDEL', key, 'pass', 'priority')
  if priority ~= 0 then redis.call('HSET', key, 'priority', priority) end
end

-- Mailboxes that a version without waves queued come into their lines; a worker of it may still run.
local function adopt_queues()
  for _, route in ipairs(redis.call('ZRANGE', P .. 'routes', 0, 9)) do
    local page = redis.call('ZRANGE', P .. 'ready:' .. route, 0, 499)
    for _, m in ipairs(page) do
      redis.call('ZREM', P .. 'ready:' .. route, m)
      refresh(m)
    end
    if #page < 500 then redis.call('ZREM', P .. 'routes', route) end
  end
end

-- Another mailbox has the destination now, or none: those that wait for it are looked at again.
local function refresh_others(destination, m)
  for _, other in ipairs(redis.call('ZRANGE', P .. 'destination:' .. destination, 0, -1)) do
    if other ~= m then refresh(other) end
  end
end

local function take_destination(m)
  local destination = redis.call('HGET', mailbox_key(m), 'destination_key')
  if not destination then return end
  redis.call('ZREM', P .. 'parting', destination)
  if redis.call('HGET', P .. 'destinations', destination) ~= m then
    redis.call('HSET', P .. 'destinations', destination, m)
    refresh_others(destination, m)
  end
end

local function free_destination(destination)
  redis.call('ZREM', P .. 'parting', destination)
  if redis.call('HDEL', P .. 'destinations', destination) == 1 then refresh_others(destination, '') end
end

-- The mailbox is settled, or only waits to verify. Where a lane is still at it, or something is in doubt, messages may arrive
-- for a while: so long nobody else is let in.
local function leave_destination(m)
  local destination = redis.call('HGET', mailbox_key(m), 'destination_key')
  if not destination or redis.call('HGET', P .. 'destinations', destination) ~= m then return end
  for _, u in ipairs(redis.call('SMEMBERS', mailbox_key(m) .. ':open')) do
    if redis.call('HGET', unit_key(u), 'state') == 'leased' or redis.call('EXISTS', unit_key(u) .. ':intents') == 1 then
      redis.call('ZADD', P .. 'parting', clock() + PARTING_MS, destination)
      return
    end
  end
  free_destination(destination)
end
