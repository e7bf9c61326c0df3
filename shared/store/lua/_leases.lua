-- Put before the scripts that a worker calls under a lease, and before those that share lanes out among imports.

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
