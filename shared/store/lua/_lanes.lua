-- Put before the scripts that let lanes in or tell how many: shared/rules/lane_search.py says what it means.
-- How long what was found at a place is believed without a word from a lane there, and what was only being tried; how long a search
-- rests after a refusal.
local LANES_MS, TOLD_MS, REST_MS, LONGEST_REST_MS = 3600000, 60000, 60000, 960000
-- When a unit is claimed again whose lane was one too many.
local CROWDED_MS = 2000
local SCOPES = {'source_account', 'source_host', 'destination_account', 'destination_host'}

-- How many lanes a place lets in where nothing was found, and the most that may be tried; `start` and `most`: the same where nobody
-- set anything. What is set for just this one counts, else the lower of what is set for all and what is usual at that server.
local function set_lanes(scope, key, start, most)
  local server = string.find(scope, '_account', 1, true) and key:match('^[%w+]+://[^/]*') or key
  local set = redis.call('HMGET', P .. 'limits', scope .. ':' .. key, scope, 'usual:' .. scope .. ':' .. server)
  local given = tonumber(set[1] or set[2] or set[3] or '')
  if not given then return tonumber(start), tonumber(most) end
  if not set[1] and set[3] then given = math.min(given, tonumber(set[3])) end
  return given, given
end

-- What was found there, as long as it was found under the same limits; nil: nothing. Where the lanes left during a trial, that is
-- the number that was known to be good before.
local function found_lanes(name, now, most)
  local h = redis.call('HMGET', P .. 'lanes:' .. name, 'limit', 'most', 'heard', 'kept', 'told_at')
  if not h[1] or tonumber(h[3]) <= now - LANES_MS then return nil end
  if h[2] ~= '0' and tonumber(h[2]) ~= most then return nil end
  return tonumber(tonumber(h[5] or '0') < now - TOLD_MS and h[4] or h[1])
end

local function let_in(scope, key, now, start, most)
  start, most = set_lanes(scope, key, start, most)
  local found = found_lanes(scope .. ':' .. key, now, most)
  return found and math.min(found, most) or start, found
end

-- The lanes that hold a connection there.
local function lanes_at(name, now)
  redis.call('ZREMRANGEBYSCORE', P .. 'permits:' .. name, '-inf', now)
  return redis.call('ZCARD', P .. 'permits:' .. name)
end

-- The lanes that are in and have to go, since fewer are let in by now: those last in the order of their names, whoever asks.
local function too_many(name, now, found)
  local over = {}
  if not found or lanes_at(name, now) <= found then return over end
  local holders = redis.call('ZRANGE', P .. 'permits:' .. name, 0, -1)
  table.sort(holders)
  for n = found + 1, #holders do over[holders[n]] = true end
  return over
end

-- Forgets what is too old, before anything is added to it.
local function renew_lanes(name, now)
  local key = P .. 'lanes:' .. name
  local heard = redis.call('HGET', key, 'heard')
  if heard and tonumber(heard) <= now - LANES_MS then redis.call('DEL', key) end
  return key
end

local function note_lanes(name, now)
  redis.call('ZADD', P .. 'lanes', now, name)
  redis.call('HSET', P .. 'lanes:' .. name, 'heard', string.format('%.0f', now))
  redis.call('PEXPIRE', P .. 'lanes:' .. name, LANES_MS)
end

-- The server wants no more than `to` lanes there (shared.rules.lane_search.narrowed).
local function narrow_lanes(name, to, reason, now)
  local key = renew_lanes(name, now)
  local h = redis.call('HMGET', key, 'limit', 'ceiling', 'patience', 'version', 'most', 'again_at')
  to = math.max(1, to)
  if h[1] and tonumber(h[1]) <= to then return end
  local rest = REST_MS
  if reason == 'refused' and tonumber(h[2] or '0') > 0 and now >= tonumber(h[6]) then
    rest = math.min(math.max(rest, tonumber(h[3])) * 2, LONGEST_REST_MS)
  end
  redis.call('HSET', key, 'limit', to, 'kept', to, 'reason', reason, 'most', h[5] or '0', 'rate', '0', 'latency', '0',
    'ceiling', reason == 'refused' and to + 1 or 0, 'changed_at', string.format('%.0f', now),
    'again_at', string.format('%.0f', now + rest), 'patience', string.format('%.0f', rest), 'version', tonumber(h[4] or '0') + 1)
  note_lanes(name, now)
end

-- A server asked to leave "scope:key" alone; what was said before is never shortened. Who asks so wants less afterwards too: half of
-- the lanes that were there. Where no more than half of those that are let in were there, as when the first ones come back from a
-- pause, it says nothing of how many. `start`, `most`: as for let_in.
local function set_hold(name, ms, import, why, start, most)
  local now = clock()
  local till, before = now + ms, redis.call('ZSCORE', P .. 'holds', name)
  if before and tonumber(before) >= till then return end
  if not before or tonumber(before) <= now then
    local lanes, scope, key = lanes_at(name, now), string.match(name, '^([^:]*):(.*)$')
    if lanes > 1 and lanes * 2 > let_in(scope, key, now, start, most) then narrow_lanes(name, math.floor(lanes / 2), 'asked', now) end
  end
  redis.call('ZADD', P .. 'holds', till, name)
  redis.call('HSET', P .. 'whys', name, import .. ':' .. why)
end

-- Adds what a worker measured for mailboxes ([[mailbox, work, answers, append_ms, source_refused, destination_refused], ...]) at their
-- places; once, however often the call is repeated. An account with one lane has nothing to search for.
local function add_measured(worker, beat, text, now)
  if text == '' or redis.call('GET', P .. 'beat:' .. worker) == beat then return end
  redis.call('SET', P .. 'beat:' .. worker, beat, 'PX', 60000)
  local sums, names = {}, {}
  for _, one in ipairs(cjson.decode(text)) do
    local h = redis.call('HMGET', mailbox_key(one[1]), unpack(SCOPES))
    for n = 1, 4 do
      local name = h[n] and SCOPES[n] .. ':' .. h[n]
      if name and not sums[name] and (n % 2 == 0 or lanes_at(name, now) > 1) then
        sums[name] = {0, 0, 0, 0}
        names[#names + 1] = name
      end
      local sum = name and sums[name]
      if sum then
        sum[1], sum[2] = sum[1] + one[2], sum[2] + one[3]
        if n > 2 then sum[3] = sum[3] + one[4] end
        sum[4] = sum[4] + (n > 2 and one[6] or one[5])
      end
    end
  end
  for _, name in ipairs(names) do
    local key = renew_lanes(name, now)
    for n, field in ipairs({'work', 'answers', 'append_ms', 'refused'}) do
      if sums[name][n] > 0 then redis.call('HINCRBY', key, field, sums[name][n]) end
    end
    redis.call('HSET', key, 'told_at', string.format('%.0f', now))
    note_lanes(name, now)
  end
end
