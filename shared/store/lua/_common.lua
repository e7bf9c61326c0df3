-- Put before every script. Above it stand P (the key prefix) and MACHINES (the tables of shared.model.lifecycle).
-- Keys: see shared/store/redis/keys.py, the legend of every key, its type and its meaning.
-- The code of a failure, in its JSON.
local CODE = '"code": "([%w_]+)"'
-- How long a destination is kept for what a settled mailbox may still have on the wire: above the settle time.
local PARTING_MS = 60000
-- A mailbox that was moved is urgent at most so long; how long it waits for a free lane before one gives way, and how long until
-- the next does.
local URGENT_MS, GIVE_WAY_MS, NEXT_GIVES_WAY_MS, GIVES_WAY_NO_MORE_MS = 60000, 500, 3000, 10000
-- How long an import has fewer lanes than its share before another's gives way, how long until the next does, how much longer until
-- that was in vain, and how long none does then.
local STARVES_MS, NEXT_STARVED_MS, HELPS_MS, IN_VAIN_MS = 5000, 2000, 20000, 60000
-- The order of a verification, behind all batches; the part of an order that is the age band; how many there may be.
local LAST, BAND, BANDS = 9e15, 1e11, 10
local SETTLED = {complete = true, parked = true, cancelled = true}
-- The place of complete mailboxes whose look is due, scored by since when: behind all lines. One that has been due for so long
-- goes before them, if no other such look is at work.
local LOOKS, LATE_MS, NEXT_LATE_MS = '\0looks', 30000, 500

-- Milliseconds by the server's clock: clients' clocks are never compared.
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function advance(machine, state, event)
  local edges = MACHINES[machine][event]
  return edges and edges[state]
end

local function import_key(i) return P .. 'import:' .. i end
local function mailbox_key(m) return P .. 'mailbox:' .. m end
local function folder_key(f) return P .. 'folder:' .. f end
local function unit_key(u) return P .. 'unit:' .. u end
local function wave_key(i, wave) return import_key(i) .. ':wave:' .. wave end
local function members_key(i, wave) return import_key(i) .. ':of:' .. wave end

-- Adds to a counter of the folder, its mailbox and its import in one go, so that sums agree at every moment. What comes to an
-- outcome is counted once more where nothing is ever taken off, so that a run can be told by what it did.
local function count(folder, mailbox, import, field, n)
  if n == 0 then return end
  if folder ~= '' then redis.call('HINCRBY', folder_key(folder), field, n) end
  local now = redis.call('HINCRBY', mailbox_key(mailbox), field, n)
  local code = TROUBLE_OF[field]
  if code and now > 0 then
    redis.call('ZADD', import_key(import) .. ':code:' .. code, redis.call('HGET', mailbox_key(mailbox), 'row') or 0, mailbox)
  elseif code then
    redis.call('ZREM', import_key(import) .. ':code:' .. code, mailbox)
  end
  redis.call('HINCRBY', import_key(import), field, n)
  if n > 0 and (string.sub(field, 1, 2) == 'o:' or field == 'done_bytes') then
    redis.call('HINCRBY', import_key(import), 'ever:' .. field, n)
  end
end

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
-- settled, or only waits to verify; of a mailbox that an older version wrote nobody knows which it is.
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

-- A batch of a folder that waits for a plan which voids it is ready only when that plan is tried again: whoever claimed it
-- before would find another folder than was planned.
local function make_ready(u)
  local h = redis.call('HMGET', unit_key(u), 'mailbox', 'order', 'folder')
  local rests = h[3] ~= '' and tonumber(redis.call('HGET', folder_key(h[3]), 'rests') or '0') or 0
  local waits = rests > clock()
  redis.call('HSET', unit_key(u), 'state', waits and 'delayed' or 'ready', 'holder', '')
  if waits then
    redis.call('ZREM', mailbox_key(h[1]) .. ':ready', u)
    redis.call('ZADD', P .. 'delayed', rests, u)
  else
    redis.call('ZADD', mailbox_key(h[1]) .. ':ready', h[2], u)
  end
  refresh(h[1])
end

-- The open intents of a unit: those of the lane that is at work at it, and those that earlier holders left.
local function intents_of(u)
  local live, left = {}, {}
  local h = redis.call('HMGET', unit_key(u), 'state', 'term')
  for _, text in ipairs(redis.call('HVALS', unit_key(u) .. ':intents')) do
    local own = h[1] == 'leased' and string.match(cjson.decode(text).id, '^(%d+)%.') == h[2]
    local where = own and live or left
    where[#where + 1] = text
  end
  return live, left
end

-- The lease of a unit ends. From now on what its holder had on the wire may arrive for the settle time; a holder that had
-- nothing there leaves the time of the one before it.
local function note_end(u)
  if #intents_of(u) > 0 then redis.call('HSET', unit_key(u), 'ended', clock()) end
end

-- The lease of a unit counts no more, if it did. A version that counts none may have ended it meanwhile, and left that.
local function uncount_lane(u)
  local line = redis.call('HGET', unit_key(u), 'lane_of')
  if not line then return end
  redis.call('HDEL', unit_key(u), 'lane_of')
  if redis.call('HINCRBY', P .. 'lanes_of', line, -1) <= 0 then redis.call('HDEL', P .. 'lanes_of', line) end
end

-- The lease is over, however it ended.
local function unlease(u, holder)
  redis.call('ZREM', P .. 'leases', u)
  uncount_lane(u)
  if redis.call('HGET', P .. 'holders', holder) == u then redis.call('HDEL', P .. 'holders', holder) end
end

-- The attempt was none. People's words set the count to nothing even while somebody is at work.
local function forgive(u)
  if tonumber(redis.call('HGET', unit_key(u), 'attempts')) > 0 then redis.call('HINCRBY', unit_key(u), 'attempts', -1) end
end

-- The lease is void, however much its holder still sends under it: the next has another term. An attempt under which any
-- message got its outcome was none, since a batch that comes on does not kill its workers. False when nobody held it.
local function take_back(u)
  local h = redis.call('HMGET', unit_key(u), 'state', 'holder', 'done', 'began')
  unlease(u, h[2] or '')
  if h[1] ~= 'leased' then return false end
  note_end(u)
  if tonumber(h[3]) > tonumber(h[4] or h[3]) then forgive(u) end
  redis.call('HSET', unit_key(u), 'term', redis.call('INCR', P .. 'terms'))
  make_ready(u)
  return true
end

-- The process that a lane belongs to (shared.store.process_of).
local function process_of(holder) return string.match(holder, '^(.*)/[^/]*$') or holder end

-- A unit that is finished, or replaced by others. Whoever still holds it is fenced off, since it is gone.
local function drop_unit(m, u)
  unlease(u, redis.call('HGET', unit_key(u), 'holder') or '')
  redis.call('SREM', mailbox_key(m) .. ':open', u)
  redis.call('ZREM', mailbox_key(m) .. ':ready', u)
  redis.call('ZREM', P .. 'delayed', u)
  redis.call('DEL', unit_key(u), unit_key(u) .. ':intents')
end

local function new_unit(u, kind, mailbox, folder, uids, size, messages, order, state, attempts)
  redis.call('HSET', unit_key(u), 'kind', kind, 'mailbox', mailbox, 'folder', folder, 'uids', uids, 'size', size,
    'messages', messages, 'done', 0, 'order', order, 'state', state, 'attempts', attempts, 'term', 0, 'holder', '',
    'used', '', 'others', '')
  redis.call('SADD', mailbox_key(mailbox) .. ':open', u)
end

-- How a mailbox stands: the least and the most ms between two looks, and when its people are switched over, ms; nil: it does not.
-- The word of its wave goes before that of its import.
local function standing_of(i, wave)
  local h = redis.call('HMGET', import_key(i) .. ':standing', wave or '', '')
  local least, most, switch = string.match(h[1] or h[2] or '', '^(%d+):(%d+):(%d+)$')
  return tonumber(least), tonumber(most), tonumber(switch)
end

-- shared.rules.standing.next_look, in ms.
local function next_look(now, mail_at, least, most, switch)
  local quiet = now - mail_at
  if switch > 0 then quiet = math.min(quiet, math.abs(switch - now)) end
  return math.max(least, math.min(most, math.floor(quiet / 8)))
end

-- No look is to come, and one that is due or at work is void.
local function end_look(m)
  local key = mailbox_key(m)
  local i = redis.call('HGET', key, 'import')
  if redis.call('HDEL', key, 'look_at') == 1 then redis.call('ZREM', import_key(i) .. ':looks', m) end
  if redis.call('HDEL', key, 'looking') == 1 then
    redis.call('HDEL', key, 'look_again')
    redis.call('ZREM', import_key(i) .. ':looking', m)
    drop_unit(m, m .. '.look')
  end
end

-- Enters when a mailbox is looked at next, from when it was last. One whose look is due already keeps that.
local function plan_look(m)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'import', 'wave', 'state', 'mail_at', 'looked_at', 'looking', 'look_at')
  local least, most, switch = standing_of(h[1], h[2])
  if h[3] ~= 'complete' or not least then
    if h[6] or h[7] then end_look(m) end
  elseif not h[6] then
    local last = tonumber(h[5] or '0')
    local at = string.format('%.0f', last + next_look(last, tonumber(h[4] or '0'), least, most, switch))
    redis.call('ZADD', import_key(h[1]) .. ':looks', at, m)
    redis.call('HSET', key, 'look_at', at)
  end
end

-- A look that was begun at `claimed` (ms) has ended, well or badly: one that is late waits as long as it took.
local function put_off_late(now, claimed)
  redis.call('HSET', P .. 'looks', 'late_at', string.format('%.0f', now + math.max(NEXT_LATE_MS, now - claimed)))
end

-- The look of a mailbox is due. What a person paused, or nobody can sign in to, is asked about again in a minute.
local function begin_look(m)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'import', 'look_at')
  redis.call('HSET', key, 'looking', h[2])
  if not wanted(m) or redis.call('EXISTS', import_key(h[1]) .. ':credentials') == 0 then
    redis.call('HDEL', key, 'looking')
    redis.call('ZADD', import_key(h[1]) .. ':looks', clock() + 60000, m)
    return
  end
  redis.call('HDEL', key, 'look_at')
  redis.call('ZREM', import_key(h[1]) .. ':looks', m)
  redis.call('ZADD', import_key(h[1]) .. ':looking', h[2], m)
  new_unit(m .. '.look', 'look', m, '', '', 0, 0, 0, 'ready', 0)
  make_ready(m .. '.look')
end

-- A pass came to its end: what the source held when it was planned is at the destination.
local function end_pass(m)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'messages', 'seen', 'planned_at')
  local now = string.format('%.0f', clock())
  if (h[1] or '0') ~= h[2] then redis.call('HSET', key, 'seen', h[1] or '0', 'mail_at', now) end
  redis.call('HSET', key, 'looked_at', now, 'synced_at', h[3] or now)
  redis.call('HDEL', key, 'after_look')
end

-- A parked mailbox is tried again by itself after so many ms; 0: not before a person acts.
local function set_again(m, ms)
  if ms > 0 then
    local at = clock() + ms
    redis.call('ZADD', P .. 'again', at, m)
    redis.call('HSET', mailbox_key(m), 'again_at', string.format('%.0f', at))
  elseif redis.call('ZREM', P .. 'again', m) == 1 then
    redis.call('HDEL', mailbox_key(m), 'again_at')
  end
end

-- What went wrong last with a mailbox, JSON, or '' when nothing is any more. Mailboxes are also kept by it, by row, so that
-- a page of those that share it is found at once.
local function set_failure(m, text)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'import', 'failure', 'row')
  local before, after = string.match(h[2] or '', CODE), string.match(text, CODE)
  if before ~= after then
    local codes = import_key(h[1]) .. ':codes'
    if before then
      redis.call('ZREM', import_key(h[1]) .. ':code:' .. before, m)
      if redis.call('HINCRBY', codes, before, -1) <= 0 then redis.call('HDEL', codes, before) end
    end
    if after then
      redis.call('ZADD', import_key(h[1]) .. ':code:' .. after, h[3] or 0, m)
      redis.call('HINCRBY', codes, after, 1)
    end
  end
  redis.call('HDEL', key, 'over_at')
  if text ~= '' then redis.call('HSET', key, 'failure', text) else redis.call('HDEL', key, 'failure') end
end

-- The mailbox gets on again: what went wrong with it last is over since now, unless it is already.
local function get_on(m)
  local h = redis.call('HMGET', mailbox_key(m), 'failure', 'over_at')
  if h[1] and not h[2] then redis.call('HSET', mailbox_key(m), 'over_at', clock()) end
end

local function set_compared(m, messages)
  local h = redis.call('HMGET', mailbox_key(m), 'compared', 'import')
  local before = tonumber(h[1] or '0')
  if before == messages then return end
  redis.call('HSET', mailbox_key(m), 'compared', messages)
  redis.call('HINCRBY', import_key(h[2]), 'compared', messages - before)
end

local function move_mailbox(m, event)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'state', 'import', 'row', 'wave')
  local after = advance('mailbox', h[1], event)
  if not after then return false end
  if event == 'again' or event == 'replan' then set_compared(m, 0) end
  if after ~= h[1] then
    redis.call('HSET', key, 'state', after)
    redis.call('ZREM', import_key(h[2]) .. ':in:' .. h[1], m)
    redis.call('ZADD', import_key(h[2]) .. ':in:' .. after, h[3] or 0, m)
    redis.call('ZREM', import_key(h[2]) .. ':settling', m)
    if h[1] == 'parked' then set_again(m, 0) end
    if h[1] == 'complete' then end_look(m) end
    if event == 'verified' then
      end_pass(m)
      plan_look(m)
    end
    if SETTLED[after] then leave_destination(m) end
    redis.call('HINCRBY', import_key(h[2]), 's:' .. h[1], -1)
    redis.call('HINCRBY', import_key(h[2]), 's:' .. after, 1)
    if h[4] then
      redis.call('HINCRBY', wave_key(h[2], h[4]), 's:' .. h[1], -1)
      redis.call('HINCRBY', wave_key(h[2], h[4]), 's:' .. after, 1)
    end
  end
  return after
end

-- Forgets a mailbox: its ledger, its notes, its place in every queue. The sums of its import stay as they are.
local function remove_mailbox(i, m)
  local h = redis.call('HMGET', mailbox_key(m), 'import', 'stands', 'ready', 'destination_key')
  for _, u in ipairs(redis.call('SMEMBERS', mailbox_key(m) .. ':open')) do drop_unit(m, u) end
  for _, f in ipairs(redis.call('ZRANGE', mailbox_key(m) .. ':folders', 0, -1)) do
    local folder = folder_key(f)
    redis.call('DEL', folder, folder .. ':waiting', folder .. ':ledger', folder .. ':taken', folder .. ':notes', folder .. ':flags',
      folder .. ':skipped')
  end
  for _, bucket in ipairs(redis.call('SMEMBERS', mailbox_key(m) .. ':shared')) do
    redis.call('DEL', mailbox_key(m) .. ':shared:' .. bucket)
  end
  set_failure(m, '')
  set_behind(m, nil)
  set_again(m, 0)
  end_look(m)
  for _, code in pairs(TROUBLE_OF) do redis.call('ZREM', import_key(i) .. ':code:' .. code, m) end
  if h[2] then leave_queue(m, h[2]) end
  redis.call('ZREM', P .. 'urgent', m)
  set_wave(m, '')
  if h[3] and tonumber(h[3]) ~= 0 then redis.call('INCRBY', P .. 'ready_units', -tonumber(h[3])) end
  if h[4] then
    redis.call('ZREM', P .. 'destination:' .. h[4], m)
    if redis.call('HGET', P .. 'destinations', h[4]) == m then free_destination(h[4]) end
  end
  local every = mailbox_key(m)
  redis.call('DEL', every, every .. ':folders', every .. ':open', every .. ':ready', every .. ':failures', every .. ':maildrop', every .. ':marks',
    every .. ':maildrop:said', every .. ':shared')
  for _, wave in ipairs(redis.call('HKEYS', import_key(i) .. ':cutovers')) do
    redis.call('HDEL', import_key(i) .. ':cutover:' .. wave, m)
  end
  redis.call('ZREM', import_key(i) .. ':mailboxes', m)
  redis.call('ZREM', import_key(i) .. ':settling', m)
end

-- An import is settled when every mailbox is: called after each change that may have been the last.
local function settle_import(i)
  local key = import_key(i)
  local h = redis.call('HMGET', key, 'state', 'mailboxes', 's:complete', 's:parked', 's:cancelled', 'retention')
  if h[1] ~= 'running' then return end
  local settled = tonumber(h[3] or '0') + tonumber(h[4] or '0') + tonumber(h[5] or '0')
  if settled >= tonumber(h[2] or '0') then
    redis.call('HSET', key, 'state', advance('import', 'running', 'settled'), 'finished_at', clock())
    -- Passwords are kept from when a person last set it going: what goes on by itself keeps them no longer. What stands needs them.
    if redis.call('TTL', key .. ':credentials') < 0 and redis.call('EXISTS', key .. ':standing') == 0 then redis.call('EXPIRE', key .. ':credentials', h[6] or 1209600) end
  end
end

-- There is something to do again: an import that was finished runs.
local function reopen_import(i)
  local key = import_key(i)
  local state = redis.call('HGET', key, 'state')
  local after = advance('import', state, 'reopened')
  if after and after ~= state then redis.call('HSET', key, 'state', after, 'finished_at', 0) end
end

-- An import ('') or a wave stands from now on ("least:most:switch", ms), or no longer ('off'). As long as anything of an import
-- stands its passwords are kept.
local function set_standing(i, wave, text)
  local key = import_key(i)
  local standing = key .. ':standing'
  if text ~= 'off' then
    redis.call('HSET', standing, wave, text)
  elseif wave == '' then
    redis.call('DEL', standing)
  elseif redis.call('HEXISTS', standing, '') == 1 then
    redis.call('HSET', standing, wave, 'off')
  else
    redis.call('HDEL', standing, wave)
  end
  if redis.call('EXISTS', standing) == 1 then
    redis.call('SADD', P .. 'standing', i)
    redis.call('PERSIST', key .. ':credentials')
  elseif redis.call('SREM', P .. 'standing', i) == 1 then
    local h = redis.call('HMGET', key, 'state', 'retention')
    if h[1] == 'finished' then redis.call('EXPIRE', key .. ':credentials', h[2] or 1209600) end
  end
  for _, m in ipairs(redis.call('ZRANGE', wave == '' and key .. ':mailboxes' or members_key(i, wave), 0, -1)) do
    plan_look(m)
    refresh(m)
  end
end

-- A queued mailbox has a plan unit, and no verification any more: what is verified has to be planned and copied before.
local function plan_unit(m)
  if redis.call('EXISTS', unit_key(m .. '.verify')) == 1 then drop_unit(m, m .. '.verify') end
  local u = m .. '.plan'
  if redis.call('SISMEMBER', mailbox_key(m) .. ':open', u) == 0 then
    new_unit(u, 'plan', m, '', '', 0, 0, 0, 'ready', 0)
  else
    redis.call('HSET', unit_key(u), 'attempts', 0)
  end
  if redis.call('HGET', unit_key(u), 'state') == 'leased' then
    -- Somebody is at it since before it was queued again, and what he finds is as good.
    move_mailbox(m, 'plan_claimed')
  else
    redis.call('ZREM', P .. 'delayed', u)
    make_ready(u)
  end
end

-- Nothing open any more: the mailbox goes on to be verified, and only then is complete.
local function drain(m)
  local key = mailbox_key(m)
  if redis.call('EXISTS', key .. ':open') == 1 then return end
  if move_mailbox(m, 'drained') then
    local u = m .. '.verify'
    new_unit(u, 'verify', m, '', '', 0, 0, LAST, 'ready', 0)
    make_ready(u)
  end
end

-- A batch waits behind those of its age band and of younger ones. The heads go on in its band, so that they do not keep the
-- batch waiting.
local function wait_in_band(f, heads, u)
  local order, waiting = redis.call('HGET', unit_key(u), 'order'), folder_key(f) .. ':waiting'
  local function is_older(other)
    return band_of(tonumber(redis.call('HGET', unit_key(other), 'order') or '0')) > band_of(tonumber(order))
  end
  local last, before = redis.call('LINDEX', waiting, -1), nil
  if last and is_older(last) then
    for _, other in ipairs(redis.call('LRANGE', waiting, 0, -1)) do
      if is_older(other) then
        before = other
        break
      end
    end
  end
  if before then redis.call('LINSERT', waiting, 'BEFORE', before, u) else redis.call('RPUSH', waiting, u) end
  for _, head in ipairs(heads) do
    if is_older(head) then
      redis.call('HSET', unit_key(head), 'order', order)
      redis.call('ZADD', mailbox_key(redis.call('HGET', unit_key(u), 'mailbox')) .. ':ready', 'XX', order, head)
    end
  end
end

-- The heads of a folder are its batches that may be written by somebody, "u u u"; the others wait behind them. There are as
-- many as the folder has writers: one, unless a lane widened it.
local function heads_of(f)
  local heads = {}
  for u in string.gmatch(redis.call('HGET', folder_key(f), 'head') or '', '%S+') do heads[#heads + 1] = u end
  return heads
end

-- How many batches of a folder may be written at once. What that is above one stands at the mailbox too: so many lanes more are
-- worth their logins there.
local function set_writers(f, writers)
  local h = redis.call('HMGET', folder_key(f), 'writers', 'mailbox')
  local more = writers - tonumber(h[1] or '1')
  if more == 0 then return end
  redis.call('HINCRBY', mailbox_key(h[2]), 'more_lanes', more)
  if writers > 1 then redis.call('HSET', folder_key(f), 'writers', writers) else redis.call('HDEL', folder_key(f), 'writers') end
end

-- Batches that wait become heads while there is room. A folder that is drained has one writer again.
local function fill_heads(f, heads)
  local most = tonumber(redis.call('HGET', folder_key(f), 'writers') or '1')
  while #heads < most do
    local following = redis.call('LPOP', folder_key(f) .. ':waiting')
    if not following then break end
    heads[#heads + 1] = following
    redis.call('HSET', folder_key(f), 'head', table.concat(heads, ' '))
    make_ready(following)
  end
  redis.call('HSET', folder_key(f), 'head', table.concat(heads, ' '))
  if #heads == 0 then
    set_writers(f, 1)
    redis.call('HDEL', folder_key(f), 'alone')
  end
end

local function queue_batch(f, u)
  local heads = heads_of(f)
  if #heads < tonumber(redis.call('HGET', folder_key(f), 'writers') or '1') then
    redis.call('RPUSH', folder_key(f) .. ':waiting', u)
    fill_heads(f, heads)
  else
    wait_in_band(f, heads, u)
  end
end

-- The batch `u` is gone: what waits takes its place.
local function next_batch(f, u)
  local heads = {}
  for _, head in ipairs(heads_of(f)) do
    if head ~= u then heads[#heads + 1] = head end
  end
  fill_heads(f, heads)
end

-- A folder that has one writer until it is drained: heads that nobody is at go back to the front of what waits, with what they
-- left. Who writes next is alone then. One head stays.
local function fold_heads(f)
  if redis.call('HEXISTS', folder_key(f), 'alone') == 0 then return end
  local heads = heads_of(f)
  for n = #heads, 1, -1 do
    local u = heads[n]
    local h = redis.call('HMGET', unit_key(u), 'state', 'mailbox')
    if #heads > 1 and h[1] ~= 'leased' then
      table.remove(heads, n)
      redis.call('ZREM', mailbox_key(h[2]) .. ':ready', u)
      redis.call('ZREM', P .. 'delayed', u)
      redis.call('HSET', unit_key(u), 'state', 'waiting', 'holder', '')
      redis.call('LPUSH', folder_key(f) .. ':waiting', u)
    end
  end
  redis.call('HSET', folder_key(f), 'head', table.concat(heads, ' '))
end

-- All batches of a folder: its heads, and those that wait behind them.
local function batches_of(f)
  local units = heads_of(f)
  for _, u in ipairs(redis.call('LRANGE', folder_key(f) .. ':waiting', 0, -1)) do units[#units + 1] = u end
  return units
end

-- What of a folder has no outcome yet.
local function pending_of(f)
  local c = redis.call('HMGET', folder_key(f), 'messages', 'o:copied', 'o:already_present', 'o:skipped', 'o:refused',
    'o:vanished', 'o:failed', 'withheld')
  local messages = tonumber(c[1] or '0')
  for o = 2, 8 do messages = messages - tonumber(c[o] or '0') end
  return messages
end

local function permits_of(m)
  local h = redis.call('HMGET', mailbox_key(m), 'source_account', 'source_host', 'destination_account', 'destination_host')
  if not h[1] then return {} end
  return {P .. 'permits:source_account:' .. h[1], P .. 'permits:source_host:' .. h[2],
          P .. 'permits:destination_account:' .. h[3], P .. 'permits:destination_host:' .. h[4]}
end

-- Refuses a worker whose right has passed to another. The only gate to every write of a worker. It also leaves a sign
-- that the lease reached its holder: see claim.lua.
local function fence(u, term, holder)
  local h = redis.call('HMGET', unit_key(u), 'term', 'holder', 'state', 'used')
  if h[1] ~= term or h[2] ~= holder or h[3] ~= 'leased' then return false end
  if h[4] ~= '1' then redis.call('HSET', unit_key(u), 'used', '1') end
  return true
end

-- What is wanted of a lane that is at work at the unit `u` of a mailbox, or what a person wants of the mailbox alone.
local function wish(m, u)
  local h = redis.call('HMGET', mailbox_key(m), 'import', 'control', 'state', 'wave')
  local whole = redis.call('HMGET', import_key(h[1]), 'control', 'opens_at', 'shuts_at')
  if whole[1] == 'cancel' or h[2] == 'cancel' or h[3] == 'cancelled' then return 'cancel' end
  if whole[1] == 'pause' or h[2] == 'pause' or h[3] == 'parked' or shut(whole[2], whole[3])
    or held_back(h[1], h[4]) then return 'pause' end
  local yields = u and redis.call('HGET', unit_key(u), 'yields')
  return yields == '1' and 'pause' or yields == 'yield' and 'yield' or 'run'
end

-- Whether more than one import has a lane or waits for one.
local function several_imports()
  local first
  for _, lines in ipairs({redis.call('ZRANGE', P .. 'lines', 0, -1), redis.call('HKEYS', P .. 'lanes_of')}) do
    for _, line in ipairs(lines) do
      local i = string.match(line, '^[^:]*')
      first = first or i
      if i ~= first then return true end
    end
  end
  return false
end

-- The share of the lanes at work that each import has: how many it has, of all, the weight of its waves, and the sum of those.
-- Only what has a lane or waits for one counts. Looked up once a call, when no lease is taken back any more.
local shares_found
local function shares()
  if shares_found then return shares_found end
  local s, there = {held = {}, all = 0, weight = {}, sum = 0}, {}
  local function counts(line, lanes)
    local i = string.match(line, '^[^:]*')
    if there[i] == nil then there[i] = redis.call('EXISTS', import_key(i)) == 1 end
    if not there[i] then return end
    s.held[i], s.all = (s.held[i] or 0) + lanes, s.all + lanes
    local weight = tonumber(redis.call('HGET', line_key(line), 'weight') or '1')
    local more = math.max(weight, s.weight[i] or 0) - (s.weight[i] or 0)
    s.weight[i], s.sum = (s.weight[i] or 0) + more, s.sum + more
  end
  local lanes = redis.call('HGETALL', P .. 'lanes_of')
  for n = 1, #lanes, 2 do counts(lanes[n], tonumber(lanes[n + 1])) end
  for _, line in ipairs(redis.call('ZRANGE', P .. 'lines', 0, -1)) do counts(line, 0) end
  shares_found = s
  return s
end

-- Whether an import has more lanes than its share, or would have no more than that with one more.
local function over_share(s, i) return s.weight[i] ~= nil and s.held[i] * s.sum > s.all * s.weight[i] end
local function under_share(s, i) return s.weight[i] ~= nil and (s.held[i] + 1) * s.sum <= s.all * s.weight[i] end

-- Destination UIDs belong to one source UID only. Ranges are kept merged: "low:high" scored by low.
local function overlaps(key, low, high)
  local before = redis.call('ZREVRANGEBYSCORE', key, high, '-inf', 'LIMIT', 0, 1)[1]
  return before and tonumber(string.match(before, ':(%d+)$')) >= low
end

local function take(key, low, high)
  local before = redis.call('ZREVRANGEBYSCORE', key, low, '-inf', 'LIMIT', 0, 1)[1]
  if before and tonumber(string.match(before, ':(%d+)$')) == low - 1 then
    redis.call('ZREM', key, before)
    low = tonumber(string.match(before, '^(%d+)'))
  end
  local after = redis.call('ZRANGEBYSCORE', key, high + 1, high + 1)[1]
  if after then
    redis.call('ZREM', key, after)
    high = tonumber(string.match(after, ':(%d+)$'))
  end
  redis.call('ZADD', key, low, string.format('%d:%d', low, high))
end

local function each_range(text, visit)
  for part in string.gmatch(text, '[^,]+') do
    local low, high = string.match(part, '^(%d+):(%d+)$')
    if not low then low = part; high = part end
    visit(tonumber(low), tonumber(high))
  end
end

-- Whether the ranges of `text` hold all of `wanted`; what `text` holds twice does not occur.
local function covers(text, wanted)
  local missing = 0
  each_range(wanted, function(low, high)
    missing = missing + high - low + 1
    each_range(text, function(a, b) missing = missing - math.max(0, math.min(high, b) - math.max(low, a) + 1) end)
  end)
  return missing <= 0
end

-- Whether `s` was entered before: the answer to that call was lost. An intent is gone then; what had none stands there.
local function entered(u, folder, s)
  if s.intent ~= '' then return redis.call('HEXISTS', unit_key(u) .. ':intents', s.intent) == 0 end
  local text = ';' .. (redis.call('HGET', folder_key(folder) .. ':ledger', u) or '') .. ';'
  for _, record in ipairs(s.records) do
    if not string.find(text, ';' .. record[1] .. ' ' .. record[2] .. ';', 1, true) then return false end
  end
  local others = redis.call('HGET', unit_key(u), 'others') or ''
  for _, group in pairs(s.others) do
    if not covers(others, group[1]) then return false end
  end
  return #s.records > 0 or next(s.others) ~= nil
end

-- Puts right the digests of entries of the ledger, as JSON by name; whether an entry was seen to be right stays as it was.
local function correct_digests(f, digests)
  local ledger = folder_key(f) .. ':ledger'
  for name, digest in pairs(cjson.decode(digests)) do
    local old = redis.call('HGET', ledger, name .. '#') or ''
    redis.call('HSET', ledger, name .. '#', digest .. (string.sub(old, -1) == '!' and '!' or ''))
  end
end

-- The destination was seen to hold what this entry of the ledger says: "!" behind its digest.
local function mark_checked(folder, name)
  local ledger = folder_key(folder) .. ':ledger'
  local digest = redis.call('HGET', ledger, name .. '#')
  if digest and string.sub(digest, -1) ~= '!' then
    redis.call('HSET', ledger, name .. '#', digest .. '!')
    redis.call('HINCRBY', folder_key(folder), 'unchecked', -1)
  end
end

-- What is new of `list`, and the first range of destination UIDs that it would give away twice, or nil. Scripts have no
-- way back, so everything is looked at before anything is written. `fresh`: the ledger is about to be emptied.
local function new_of(u, folder, list, fresh)
  local new, ranges = {}, {}
  for _, s in ipairs(list) do
    if not entered(u, folder, s) then
      new[#new + 1] = s
      for _, record in ipairs(s.records) do
        each_range(record[2], function(low, high) ranges[#ranges + 1] = {low, high} end)
      end
    end
  end
  table.sort(ranges, function(a, b) return a[1] < b[1] end)
  for n, range in ipairs(ranges) do
    local double = n > 1 and ranges[n - 1][2] >= range[1]
    if double or (not fresh and overlaps(folder_key(folder) .. ':taken', range[1], range[2])) then
      return new, string.format('%.0f:%.0f', range[1], range[2])
    end
  end
  return new
end

-- Notes that are counted, once a message, and where (`shared.model.ledger.COUNTED`).
local COUNTED = {
  altered = 'altered', normalised = 'normalised', watched = 'watched', keywords_lost = 'keywords_lost',
  date_clamped = 'dates_changed', date_unusable = 'dates_changed',
  moved = 'moved', removed = 'removed',
}

-- Enters what became of some messages; `new_of` said that it may.
local function settle(u, folder, mailbox, import, s)
  local taken, ledger = folder_key(folder) .. ':taken', folder_key(folder) .. ':ledger'
  local text, done = {}, s.messages
  for _, record in ipairs(s.records) do
    each_range(record[2], function(low, high) take(taken, low, high) end)
    text[#text + 1] = record[1] .. ' ' .. record[2]
  end
  if #text > 0 then
    local old = redis.call('HGET', ledger, u)
    if not old then redis.call('HINCRBY', folder_key(folder), 'unchecked', 1) end
    redis.call('HSET', ledger, u, (old and old .. ';' or '') .. table.concat(text, ';'))
    local digest = tonumber(redis.call('HGET', ledger, u .. '#') or '0')
    redis.call('HSET', ledger, u .. '#', string.format('%.0f', (digest + s.digest) % 281474976710656))
    count(folder, mailbox, import, 'o:' .. s.outcome, s.messages)
  end
  for outcome, group in pairs(s.others) do
    count(folder, mailbox, import, 'o:' .. outcome, group[2])
    local others = redis.call('HGET', unit_key(u), 'others')
    redis.call('HSET', unit_key(u), 'others', (others and others ~= '' and others .. ',' or '') .. group[1])
    done = done + group[2]
  end
  if done > 0 then
    redis.call('HINCRBY', unit_key(u), 'done', done)
    count(folder, mailbox, import, 'done_bytes', s.size)
    redis.call('HSET', import_key(import), 'last_record_at', clock())
  end
  for field, note in pairs(s.notes) do
    local new = redis.call('HSET', folder_key(folder) .. ':notes', field, note) == 1
    local what = string.match(field, ':(.*)$')
    if new and COUNTED[what] then count(folder, mailbox, import, COUNTED[what], 1) end
  end
  if s.intent ~= '' then redis.call('HDEL', unit_key(u) .. ':intents', s.intent) end
end

-- What is known of a login: state (u: nothing, t: somebody tries it, p: it let somebody in, d: it did, and was refused
-- since, r: refused), refusals since it last let in, until when the trial of `holder` counts, what the server said.
local function login_place(import, mailbox, side, shared)
  return shared == '1' and import_key(import) or mailbox_key(mailbox), 'login:' .. side
end

local function login_record(key, field, digest)
  local text = redis.call('HGET', key, field)
  if text then
    local known, state, n, till, holder, words = string.match(text, '^([^:]*):(%a):(%d+):(%d+):([^:]*):(.*)$')
    if known == digest then
      return {state = state, count = tonumber(n), till = tonumber(till), holder = holder, words = words}
    end
  end
  return {state = 'u', count = 0, till = 0, holder = '', words = ''}
end

local function write_login(key, field, digest, login)
  if redis.call('EXISTS', key) == 0 then return end
  redis.call('HSET', key, field, string.format('%s:%s:%d:%.0f:%s:%s', digest, login.state, login.count, login.till,
    login.holder, login.words))
end

-- Lanes beside the one that asks that have a connection to the mailbox's account.
local function other_permits(mailbox, side)
  local scope = side .. '_account'
  local name = redis.call('HGET', mailbox_key(mailbox), scope)
  if not name then return 0 end
  return math.max(0, redis.call('ZCOUNT', P .. 'permits:' .. scope .. ':' .. name, '(' .. clock(), '+inf') - 1)
end

-- A mailbox that was parked goes on by itself.
local function go_on(m)
  local i = redis.call('HGET', mailbox_key(m), 'import')
  move_mailbox(m, 'again')
  plan_unit(m)
  reopen_import(i)
  refresh(m)
end

-- Whether anybody still wants a parked mailbox to go on, and its passwords are there.
local function may_go_on(m)
  local i = redis.call('HGET', mailbox_key(m), 'import')
  local wanted = redis.call('HGET', import_key(i), 'control') == 'run' and redis.call('HGET', mailbox_key(m), 'control') == 'run'
  return wanted and redis.call('EXISTS', import_key(i) .. ':credentials') == 1
end

-- The brake of one server, in import:I:brake: (key, server, field of this mailbox's login there).
local function brake_place(import, mailbox, side)
  local h = redis.call('HMGET', mailbox_key(mailbox), side .. '_account', 'source')
  local server = side .. ':' .. (side == 'source' and h[2] or '')
  return import_key(import) .. ':brake', server, server .. '\0' .. (h[1] or '')
end

-- Whether one login more may be tried at a server that let nobody in so far: 'go', 'stopped', or ms to wait.
local function brake_turn(import, mailbox, side, till, first)
  local key, server, ours = brake_place(import, mailbox, side)
  local state = redis.call('HGET', key, server)
  if state == 'in' or redis.call('EXISTS', import_key(import)) == 0 then return 'go' end
  local now, refused, trying, wait = clock(), 0, 0, 0
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    if all[n] ~= ours and string.sub(all[n], 1, #server + 1) == server .. '\0' then
      if all[n + 1] == 'r' then
        refused = refused + 1
      elseif tonumber(all[n + 1]) > now then
        trying, wait = trying + 1, math.max(wait, tonumber(all[n + 1]) - now)
      end
    end
  end
  if refused >= first then return 'stopped' end
  if state ~= 'loose' and refused + trying >= first then return wait end
  redis.call('HSET', key, ours, string.format('%.0f', till))
  return 'go'
end

-- How a try ended there. 'in' releases the brake for good, and what it stopped goes on.
local function brake_told(import, mailbox, side, result)
  local key, server, ours = brake_place(import, mailbox, side)
  local state = redis.call('HGET', key, server)
  if state == 'in' or redis.call('EXISTS', import_key(import)) == 0 then return end
  if result == 'refused' then
    redis.call('HSET', key, ours, 'r')
    return
  end
  redis.call('HDEL', key, ours)
  redis.call('HSET', key, server, result == 'in' and 'in' or 'loose')
  if result ~= 'in' then return end
  local all = redis.call('HKEYS', key)
  for n = 1, #all do
    if string.sub(all[n], 1, #server + 1) == server .. '\0' then redis.call('HDEL', key, all[n]) end
  end
  for n, m in ipairs(redis.call('ZRANGE', import_key(import) .. ':code:' .. side .. '_logins_stopped', 0, -1)) do
    local _, theirs = brake_place(import, m, side)
    if theirs == server and redis.call('HGET', mailbox_key(m), 'state') == 'parked' then
      if n <= 200 and may_go_on(m) then
        set_failure(m, '')
        go_on(m)
      else
        set_again(m, 1)
      end
    end
  end
end

-- A person acted: refusals so far count no more. That somebody was let in is remembered.
local function lift_brake(import)
  local key = import_key(import) .. ':brake'
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    if all[n + 1] ~= 'in' then redis.call('HDEL', key, all[n]) end
  end
end
