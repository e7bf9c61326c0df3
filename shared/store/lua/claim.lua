-- claim(holder, lease_ms, prefer, hint, held, scan, source_account, source_host, destination_account, destination_host,
--       worth_messages, worth_bytes, rates, most, most, most, most)
-- Gives the fairest unit that may run now, or nothing. `prefer`: a mailbox to be served first (its logins are open);
-- `hint`: the unit that rang; `held`: the mailbox whose permits this holder has. After `scan` stand default limits, and
-- what must be left of a mailbox for each lane at it (shared.rules.batching.Worth), the rates of the settings, and how far above the
-- default limits the search for the number of lanes may go (_lanes.lua).
-- Everything that can say no is looked at here, so that nobody waits with a connection and nobody asks twice:
-- pause and cancel, retry time, holds, rates, the four connection limits. Attempts are counted here: a crash counts.
local holder, lease_ms, prefer, hint, held = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local scopes = SCOPES
local OUTCOMES = {'o:copied', 'o:already_present', 'o:skipped', 'o:refused', 'o:vanished', 'o:failed'}
local now = clock()
if redis.call('EXISTS', P .. 'routes') == 1 then adopt_queues() end

-- A holder has one lease at a time. One that it still has while it claims never reached it (the answer was lost): the
-- unit goes back under a new term, and unless anything was done under the old one, that attempt was none.
local lost = redis.call('HGET', P .. 'holders', holder)
if lost then
  local h = redis.call('HMGET', unit_key(lost), 'state', 'holder', 'used')
  if h[1] == 'leased' and h[2] == holder then
    if h[3] ~= '1' then forgive(lost) end
    take_back(lost)
  else
    unlease(lost, holder)
  end
end

for _, u in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', P .. 'delayed', u)
  if redis.call('HGET', unit_key(u), 'state') == 'delayed' then make_ready(u) end
end

-- Whether a scope lets this holder in. Looked up once a call: thousands of mailboxes may share one account or host.
local verdicts = {}
local function open_scope(n, key)
  local name = scopes[n] .. ':' .. key
  if verdicts[name] == nil then
    local hold = redis.call('ZSCORE', P .. 'holds', name)
    local open = not (hold and tonumber(hold) > now)
    local permits = P .. 'permits:' .. name
    if open and not redis.call('ZSCORE', permits, holder) then
      open = lanes_at(name, now) < let_in(scopes[n], key, now, ARGV[6 + n], ARGV[13 + n])
    elseif open and redis.call('HEXISTS', P .. 'lanes:' .. name, 'limit') == 1 then
      local most, found = let_in(scopes[n], key, now, ARGV[6 + n], ARGV[13 + n])
      open = not too_many(name, now, found and most)[holder]
    end
    verdicts[name] = open
  end
  return verdicts[name]
end

-- Whether a scope owes nothing; to one that is in already, nothing that it could not wait for. What is planned or verified
-- moves little, and is let through.
local capping = capped(ARGV[13])
local paid_up = {}
local function solvent(n, key, state)
  if not capping or state ~= 'copying' then return true end
  local name = scopes[n] .. ':' .. key
  if paid_up[name] == nil then
    local due = owed(scopes[n], key, ARGV[13], now, 0, 0)[1]
    paid_up[name] = due <= 0
      or due <= PATIENCE_MS and redis.call('ZSCORE', P .. 'permits:' .. name, holder) ~= false
  end
  return paid_up[name]
end

-- true, or false and whether the whole route says no: its mailboxes share both hosts.
local function admissible(m)
  local h = redis.call('HMGET', mailbox_key(m), 'source_account', 'source_host', 'destination_account', 'destination_host',
    'state')
  if not h[1] then return false, false end
  if not open_scope(2, h[2]) or not open_scope(4, h[4]) then return false, true end
  for n = 1, 4 do
    if not solvent(n, h[n], h[5]) then return false, false end
  end
  return open_scope(1, h[1]) and open_scope(3, h[3]), false
end

-- Whether one lane more at the mailbox is worth its logins: by what is left, or by the time that it was seen to take (widen.lua).
local function worth(m)
  local h = redis.call('HMGET', mailbox_key(m), 'state', 'destination_account', 'messages', 'size_bytes', 'done_bytes',
    'more_lanes', unpack(OUTCOMES))
  local permits = P .. 'permits:destination_account:' .. h[2]
  local lanes = redis.call('ZCARD', permits)
  if lanes == 0 or h[1] ~= 'copying' or redis.call('ZSCORE', permits, holder) then return true end
  local messages, bytes = tonumber(h[3] or '0'), tonumber(h[4] or '0') - tonumber(h[5] or '0')
  for n = 7, #OUTCOMES + 6 do messages = messages - tonumber(h[n] or '0') end
  return lanes < math.max(1 + tonumber(h[6] or '0'), math.floor(messages / ARGV[11]), math.floor(bytes / ARGV[12]))
end

-- Lines, as they are to be served: by their order, then those of imports that have no more than their share of the lanes, then by
-- how much they were served, in the proportion of their weights. What is served is counted by bytes when it is given out: a source
-- that drips takes few, and holds a lane for long.
local function lines()
  local found, orders = redis.call('ZRANGE', P .. 'lines', 0, -1), redis.call('HGETALL', P .. 'orders')
  local order, place, over, first, several = {}, {}, {}, nil, false
  for n, line in ipairs(found) do
    local i = string.match(line, '^[^:]*')
    first, several = first or i, several or first and first ~= i
    place[line] = n
  end
  if #orders == 0 and not several then return found end
  for n = 1, #orders, 2 do order[orders[n]] = tonumber(orders[n + 1]) end
  local s = several and shares()
  for _, line in ipairs(found) do over[line] = s and over_share(s, string.match(line, '^[^:]*')) or false end
  table.sort(found, function(a, b)
    if (order[a] or 0) ~= (order[b] or 0) then return (order[a] or 0) < (order[b] or 0) end
    if over[a] ~= over[b] then return over[b] end
    return place[a] < place[b]
  end)
  return found
end

-- The queues of a line: by tier, then by how much they were served.
local function queues(line)
  local tiers, found, by = {}, {}, {}
  for _, queue in ipairs(redis.call('ZRANGE', P .. 'routes:' .. line, 0, -1)) do
    local tier = tonumber(string.match(queue, '^[^:]*'))
    if not by[tier] then
      by[tier] = {}
      tiers[#tiers + 1] = tier
    end
    table.insert(by[tier], queue)
  end
  table.sort(tiers)
  for _, tier in ipairs(tiers) do
    for _, queue in ipairs(by[tier]) do found[#found + 1] = queue end
  end
  return found
end

-- A mailbox that a person moved, and that is to be at work within seconds.
local function urgent()
  for _, m in ipairs(redis.call('ZRANGE', P .. 'urgent', 0, 19)) do
    local moved = tonumber(redis.call('HGET', mailbox_key(m), 'moved_at') or '0')
    if now - moved > URGENT_MS or redis.call('EXISTS', mailbox_key(m) .. ':ready') == 0 or not served(m) then
      redis.call('ZREM', P .. 'urgent', m)
    elseif admissible(m) and worth(m) then
      return m
    end
  end
end

-- Whether the source of this mailbox did not answer a look just now. All of a route have the same.
local resting = {}
local function rests(m)
  local host = redis.call('HGET', mailbox_key(m), 'source_host') or ''
  if resting[host] == nil then
    resting[host] = tonumber(redis.call('ZSCORE', P .. 'look_holds', host) or '0') > now
  end
  return resting[host]
end

-- The mailbox whose look has been due longest, of those that were by `till` and whose route lets the lane in.
local function look(till)
  local left = tonumber(ARGV[6])
  for _, route in ipairs(redis.call('ZRANGEBYSCORE', P .. 'routes:' .. LOOKS, '-inf', till)) do
    local at, full = 0, false
    while not full do
      local gone = 0
      local page = redis.call('ZRANGEBYSCORE', P .. 'ready:' .. LOOKS .. '\0' .. route, '-inf', till, 'LIMIT', at, 100)
      for _, m in ipairs(page) do
        if left == 0 then return end
        left = left - 1
        if not served(m) or redis.call('EXISTS', mailbox_key(m) .. ':ready') == 0 then
          refresh(m) -- out of the queue
          gone = gone + 1
        else
          local yes = false
          if rests(m) then full = true else yes, full = admissible(m) end
          if yes then return m end
          if full then break end
        end
      end
      if #page < 100 then break end
      at = at + #page - gone
    end
  end
end

-- The same of one that is late: it need not wait for other work, but only one is at work so, and half of the time at most.
-- Where none may go, the next claims do not look for one again at once.
local function late_look()
  local h = redis.call('HMGET', P .. 'looks', 'looker', 'late_at')
  local unit = h[1] and redis.call('HGET', P .. 'holders', h[1])
  if tonumber(h[2] or '0') > now or unit and string.match(unit, '%.look$') then return end
  local found = look(now - LATE_MS)
  if not found and redis.call('EXISTS', P .. 'routes:' .. LOOKS) == 1 then
    redis.call('HSET', P .. 'looks', 'late_at', string.format('%.0f', now + NEXT_LATE_MS))
  end
  return found
end

-- The age band of what would be claimed next of a mailbox.
local function next_band(m)
  return band_of(tonumber(redis.call('ZRANGE', mailbox_key(m) .. ':ready', 0, 0, 'WITHSCORES')[2] or '0'))
end

-- Whether the import of this mailbox has more lanes than its share while another import waits for one.
local function crowds(m)
  local own = redis.call('HGET', mailbox_key(m), 'import')
  for _, line in ipairs(redis.call('ZRANGE', P .. 'lines', 0, -1)) do
    if own and string.match(line, '^[^:]*') ~= own then return over_share(shares(), own) end
  end
  return false
end

-- Whether a mailbox is of another import than one that crowds it out, and that import has no more lanes than its share.
local function crowded_out(m, by)
  local i = redis.call('HGET', mailbox_key(m), 'import')
  return i ~= redis.call('HGET', mailbox_key(by), 'import') and not over_share(shares(), i)
end

-- The mailbox that the lane has connections to, or of which it was told, and the unit if it is a certain one.
local function nearest()
  if prefer ~= '' and redis.call('EXISTS', mailbox_key(prefer) .. ':ready') == 1 and served(prefer)
    and admissible(prefer) then return prefer end
  if hint == '' then return end
  local h = redis.call('HMGET', unit_key(hint), 'state', 'mailbox', 'kind', 'order')
  -- A look that rings waits for its turn.
  if h[1] == 'ready' and h[3] ~= 'look' and band_of(tonumber(h[4])) <= next_band(h[2]) and served(h[2]) and admissible(h[2])
    and worth(h[2]) then
    return h[2], hint
  end
end

-- Whether a mailbox is in a lower tier of the same line as another.
local function goes_before(m, other)
  local mine, my_queue = parts_of(place_of(m))
  local theirs, their_queue = parts_of(place_of(other))
  return mine == theirs and tonumber(string.match(my_queue, '^[^:]*')) < tonumber(string.match(their_queue, '^[^:]*'))
end

-- The mailbox that was served least among those that go first. Each line has its part of what is looked at, since no mailbox of one
-- may be let in.
local function fairest()
  local left, full, all = tonumber(ARGV[6]), {}, lines()
  for n, line in ipairs(all) do
    local part = math.max(1, math.floor(left / (#all - n + 1)))
    left = left - part
    for _, queue in ipairs(queues(line)) do
      local route, ready, at, gone = string.match(queue, ':(.*)$'), P .. 'ready:' .. line .. '\0' .. queue, 0, 0
      while not full[route] and part > 0 do
        local page = redis.call('ZRANGE', ready, at, at + 99)
        for _, m in ipairs(page) do
          if not served(m) or redis.call('EXISTS', mailbox_key(m) .. ':ready') == 0 then
            refresh(m) -- out of the queue: it comes back when somebody lets it
            redis.call('ZREM', ready, m)
            gone = gone + 1
          else
            local yes
            yes, full[route] = admissible(m)
            if yes and worth(m) then return m end
            if full[route] then break end
          end
        end
        at, part, gone = at + #page - gone, part - #page, 0
        if #page == 0 then break end
      end
    end
    left = left + math.max(0, part)
  end
end

-- The mailbox, the unit if it is a certain one, and whether it was chosen by fairness. The lane that is near to a mailbox's
-- archive leaves it for the recent mail of another, and that of an import with more than its share for a mailbox of another import.
local function choose()
  local first = urgent() or late_look()
  if first then return first end
  local near, unit = nearest()
  local recent, full = near and next_band(near) == 0, near and crowds(near)
  if recent and not full then return near, unit end
  local fair = fairest()
  local leaves = near and fair and (not recent and goes_before(fair, near) or full and crowded_out(fair, near))
  if near and not leaves then return near, unit end
  if fair then return fair, nil, true end
  return look('+inf')
end

local m, u, fairly = choose()
if not m then return false end
local key = mailbox_key(m)
u = u or redis.call('ZRANGE', key .. ':ready', 0, 0)[1]
local unit = unit_key(u)
local fields = redis.call('HMGET', unit, 'kind', 'folder', 'size', 'done')

local expiry = now + lease_ms
local term = redis.call('INCR', P .. 'terms')
local own = redis.call('HMGET', key, 'import', 'wave')
local line_of = own[1] .. ':' .. (own[2] or '')
redis.call('ZREM', key .. ':ready', u)
uncount_lane(u)
redis.call('HSET', unit, 'lane_of', line_of, 'state', 'leased', 'holder', holder, 'term', term, 'used', '', 'began', fields[4],
  'yields', '')
redis.call('HINCRBY', unit, 'attempts', 1)
redis.call('ZADD', P .. 'leases', expiry, u)
redis.call('HINCRBY', P .. 'lanes_of', line_of, 1)
redis.call('HSET', P .. 'holders', holder, u)
if held ~= '' and held ~= m then
  for _, permits in ipairs(permits_of(held)) do redis.call('ZREM', permits, holder) end
end
for _, permits in ipairs(permits_of(m)) do redis.call('ZADD', permits, expiry, holder) end

-- The cost of a claim is what it moves, with a floor for the logins and round trips that even nothing costs. A look costs
-- nothing: it is served when nothing else is.
local cost = fields[1] == 'look' and 0 or 65536 + tonumber(fields[3])
local stands = redis.call('HGET', key, 'stands')
if stands and look_route(stands) then stands = nil end
local place = stands or place_of(m)
local line, queue = parts_of(place)
local weight = tonumber(redis.call('HGET', line_key(line), 'weight') or '1')
local before = tonumber(redis.call('ZSCORE', P .. 'lines', line) or redis.call('HGET', line_key(line), 'pass') or '0')
local start = tonumber(stands and redis.call('ZSCORE', P .. 'ready:' .. place, m) or redis.call('HGET', key, 'pass') or '0')
if fairly then
  local last = redis.call('HMGET', P .. 'served:' .. line, queue, '')
  local own = tonumber(redis.call('ZSCORE', P .. 'routes:' .. line, queue) or '0')
  redis.call('HSET', P .. 'served:' .. line, queue, math.max(start, tonumber(last[1] or '0')),
    '', math.max(own, tonumber(last[2] or '0')))
  redis.call('HSET', P .. 'served', 'lines', math.max(before, tonumber(redis.call('HGET', P .. 'served', 'lines') or '0')))
end
redis.call('ZINCRBY', P .. 'routes:' .. line, cost, queue)
redis.call('HSET', key, 'pass', start + cost)
redis.call('HSET', line_key(line), 'pass', before + math.ceil(cost / weight))
redis.call('ZADD', P .. 'lines', 'XX', before + math.ceil(cost / weight), line)
if stands then redis.call('ZADD', P .. 'ready:' .. place, 'XX', start + cost, m) end
if fields[1] == 'look' then redis.call('HSET', P .. 'looks', 'looker', holder) end
redis.call('ZREM', P .. 'urgent', m)
-- What it waited for a rate is over; other trouble is shown until the mailbox is verified.
if string.find(redis.call('HGET', key, 'failure') or '', '"rate_waiting"', 1, true) then set_failure(m, '') end
if fields[1] ~= 'look' then take_destination(m) end
if fields[1] == 'plan' then
  move_mailbox(m, 'plan_claimed')
  redis.call('HSET', key, 'planned_at', now)
end
if fields[1] == 'copy' then redis.call('HSETNX', import_key(redis.call('HGET', key, 'import')), 'first_claim_at', now) end
refresh(m)
local due = {0}
if (capping or redis.call('EXISTS', P .. 'owing') == 1) and fields[1] == 'copy' then
  for n, name in ipairs(redis.call('HMGET', key, unpack(scopes))) do
    local there = owed(scopes[n], name, ARGV[13], now, 0, 0)
    if there[1] > due[1] then due = there end
    if there[1] <= PATIENCE_MS then redis.call('ZREM', P .. 'owing', scopes[n] .. ':' .. name) end
  end
end
-- Who else was planned into the same destination: [mailbox, '1' when its source is the same, ...].
local own, neighbours = redis.call('HMGET', key, 'destination_key', 'source_key'), {}
for _, other in ipairs(own[1] and redis.call('ZRANGE', P .. 'destination:' .. own[1], 0, -1) or {}) do
  if other ~= m and redis.call('EXISTS', mailbox_key(other) .. ':folders') == 1 then
    neighbours[#neighbours + 1] = other
    neighbours[#neighbours + 1] = redis.call('HGET', mailbox_key(other), 'source_key') == own[2] and '1' or '0'
  end
end
-- Whether the store was started again since the mailbox was planned: it may have lost what it knew of that.
local planned_at, restarted = redis.call('HGET', key, 'planned_at') or '0', redis.call('HGET', P .. 'restarted', 'at') or '-1'
local folder = fields[2]
local ledger = folder_key(folder) .. ':ledger'
return {u, tostring(term), redis.call('HGETALL', unit), m, redis.call('HGETALL', key),
        redis.call('HGETALL', folder_key(folder)), redis.call('HGET', ledger, u) or '',
        redis.call('HGET', ledger, u .. '#') or '0', redis.call('HVALS', unit .. ':intents'), string.format("%.0f", now),
        redis.call('HMGET', import_key(redis.call('HGET', key, 'import')), 'source', 'destination'), told_due(due, now), neighbours,
        redis.call('ZREVRANGE', folder_key(folder) .. ':taken', 0, 0)[1] or '0:0',
        {tonumber(redis.call('HGET', folder_key(folder), 'writers') or '1'), #heads_of(folder),
         fields[1] == 'copy' and pending_of(folder) or 0, redis.call('HEXISTS', folder_key(folder), 'alone'),
         tonumber(planned_at) <= tonumber(restarted) and 1 or 0}}
