-- attend(worker, lease_ms, extend, beat, measured_json, most, most, most, most, unit, term, holder, unit, term, holder, …): one call a second for all
-- leases of a process. With extend = '1' leases and permits are renewed by the server's clock. `measured`: what its lanes did since
-- the last beat, added once for each number `beat`; `most`: as for claim. Returns a word for each: run, pause, yield, leave, cancel, or lost.
local now, lease_ms = clock(), tonumber(ARGV[2])
redis.call('ZADD', P .. 'workers', now, ARGV[1])
local words, mailboxes = {}, {}
for n = 10, #ARGV, 3 do
  local u = ARGV[n]
  if fence(u, ARGV[n + 1], ARGV[n + 2]) then
    local m = redis.call('HGET', unit_key(u), 'mailbox')
    if ARGV[3] == '1' then
      redis.call('ZADD', P .. 'leases', now + lease_ms, u)
      for _, permits in ipairs(permits_of(m)) do redis.call('ZADD', permits, now + lease_ms, ARGV[n + 2]) end
    end
    words[#words + 1] = wish(m, u)
    mailboxes[#words] = m
  else
    words[#words + 1] = 'lost'
  end
end
add_measured(ARGV[1], ARGV[4], ARGV[5], now)
-- Where fewer lanes are let in by now, those that copy and are too many stop: their batches are claimed again, by those that stay.
-- Each place is looked up once: all leases may share a host.
if redis.call('EXISTS', P .. 'lanes') == 1 then
  local over = {}
  for n = 1, #words do
    if words[n] == 'run' and redis.call('HGET', unit_key(ARGV[3 * n + 7]), 'kind') == 'copy' then
      for scope, key in ipairs(redis.call('HMGET', mailbox_key(mailboxes[n]), unpack(SCOPES))) do
        local name = SCOPES[scope] .. ':' .. (key or '')
        if not over[name] then
          local _, most = set_lanes(SCOPES[scope], key or '', 0, ARGV[5 + scope])
          over[name] = too_many(name, now, found_lanes(name, now, most))
        end
        if over[name][ARGV[3 * n + 9]] then words[n] = 'leave' end
      end
    end
  end
end
-- A mailbox that a person moved has waited for a free lane: one of this process gives way, of its route if there is one, that
-- copies rather than verifies or plans, of the lowest priority. Should it not be enough, another does so a while later; not for
-- ten seconds, and not where a server asked to be left alone.
local ranks = {copy = 0, verify = 1, plan = 2, look = 3}
local first = redis.call('ZRANGEBYSCORE', P .. 'urgent', '-inf', now, 'LIMIT', 0, 1)[1]
local moved = first and redis.call('HMGET', mailbox_key(first), 'stands', 'route', 'moved_at', 'source_account', 'source_host',
  'destination_account', 'destination_host')
for n, scope in ipairs(moved and SCOPES or {}) do
  local hold = redis.call('ZSCORE', P .. 'holds', scope .. ':' .. (moved[n + 3] or ''))
  if hold and tonumber(hold) > now then moved = nil break end
end
if moved and moved[1] and now - tonumber(moved[3] or '0') <= GIVES_WAY_NO_MORE_MS and served(first) then
  local route, best, at = moved[2], nil, nil
  for n = 1, #words do
    if words[n] == 'run' and mailboxes[n] ~= first then
      local h = redis.call('HMGET', mailbox_key(mailboxes[n]), 'route', 'priority')
      local rank = (h[1] == route and 0 or 100000) + ranks[redis.call('HGET', unit_key(ARGV[3 * n + 7]), 'kind')] * 1000
        + tonumber(h[2] or '0')
      if not best or rank < best then best, at = rank, n end
    end
  end
  if at then
    redis.call('HSET', unit_key(ARGV[3 * at + 7]), 'yields', '1')
    redis.call('ZADD', P .. 'urgent', now + NEXT_GIVES_WAY_MS, first)
    words[at] = 'pause'
  end
end
-- An import has work and fewer lanes than its share, while lanes of another stay at units that do not end. One of this process
-- gives way, of an import that has more than its share: the one that has been at its batch longest; where none is at a batch, the one
-- that has planned longest, since a plan looks at its folders once more before it goes on; else the one that has verified longest,
-- which may compare the folder at hand once more. Another does so when the first helped; where it did not, the import has its reasons, such as
-- a limit, and nobody is stopped in vain for a minute: that is remembered, though the import have its share meanwhile.
local told = redis.call('EXISTS', P .. 'starving') == 1
if not told and not several_imports() then return words end
local s, order, starving = shares(), {}, {}
for _, line in ipairs(redis.call('ZRANGE', P .. 'lines', 0, -1)) do
  local i, own = string.match(line, '^[^:]*'), tonumber(redis.call('HGET', P .. 'orders', line) or '0')
  if under_share(s, i) then
    if not order[i] then starving[#starving + 1] = i end
    order[i] = math.min(order[i] or own, own)
  end
end
local function starved(i) return string.match(redis.call('HGET', P .. 'starving', i) or '', '^(%d+):(%-?%d+)$') end
for _, i in ipairs(told and redis.call('HKEYS', P .. 'starving') or {}) do
  local at, before = starved(i)
  if not order[i] and tonumber(at) <= now and (tonumber(at) + IN_VAIN_MS <= now or (s.held[i] or 0) > tonumber(before)) then
    redis.call('HDEL', P .. 'starving', i)
  end
end
table.sort(starving)
for _, i in ipairs(starving) do
  local held, at, before = s.held[i], starved(i)
  if not at then
    redis.call('HSET', P .. 'starving', i, string.format('%.0f:-1', now + STARVES_MS))
  elseif tonumber(at) <= now and held <= tonumber(before) then
    if tonumber(at) + HELPS_MS <= now then
      redis.call('HSET', P .. 'starving', i, string.format('%.0f:-1', now + IN_VAIN_MS))
    end
  elseif tonumber(at) <= now then
    local first, oldest, chosen
    for n = 1, #words do
      local m, term = mailboxes[n], tonumber(ARGV[3 * n + 8])
      local h = words[n] == 'run' and redis.call('HMGET', mailbox_key(m), 'import', 'wave') or {}
      local rank = h[1] and ({copy = 0, plan = 1, verify = 2})[redis.call('HGET', unit_key(ARGV[3 * n + 7]), 'kind')]
      if rank and over_share(s, h[1]) and (not chosen or rank < first or (rank == first and term < oldest))
        and tonumber(redis.call('HGET', P .. 'orders', h[1] .. ':' .. (h[2] or '')) or '0') >= order[i] then
        first, oldest, chosen = rank, term, n
      end
    end
    if chosen then
      redis.call('HSET', unit_key(ARGV[3 * chosen + 7]), 'yields', 'yield')
      redis.call('HSET', P .. 'starving', i, string.format('%.0f:%d', now + NEXT_STARVED_MS, held))
      words[chosen] = 'yield'
      break
    end
  end
end
return words
