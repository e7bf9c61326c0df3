-- Put before the scripts that charge or ask what is owed: shared/model/rates.py says what it means. `defaults`: what the settings
-- say, "source_account.bytes_per_day=1000;…", '' for nothing. Levels and moments are in units and ms.
local RATES = {'bytes_per_second', 'messages_per_second', 'bytes_per_day'}
local BURST_MS, PATIENCE_MS, DAY_MS = 1000, 10000, 86400000

-- Whether anything is capped at all. Where nothing is, this is all that a rate costs.
local function capped(defaults) return defaults ~= '' or redis.call('EXISTS', P .. 'rates') == 1 end

-- Charges a group to the account or host `key` of `scope`; with nothing to charge, only looks. What is owed there: ms to
-- wait, rate, what was moved, what may be; of several the one that takes longest.
local function owed(scope, key, defaults, now, bytes, messages)
  local server = string.find(scope, '_account', 1, true) and key:match('^[%w+]+://[^/]*') or key
  local fields = {}
  for _, rate in ipairs(RATES) do
    local name = scope .. '.' .. rate
    fields[#fields + 1] = name .. ':' .. key
    fields[#fields + 1] = name
    fields[#fields + 1] = 'usual:' .. name .. ':' .. server
  end
  local set = redis.call('HMGET', P .. 'rates', unpack(fields))
  local longest = {0, '', 0, 0}
  for n, rate in ipairs(RATES) do
    local name = scope .. '.' .. rate
    local most = tonumber(set[n * 3 - 2])
    if not most and (set[n * 3 - 1] or set[n * 3]) then
      local all, usual = tonumber(set[n * 3 - 1] or '0'), tonumber(set[n * 3] or '0')
      most = all > 0 and usual > 0 and math.min(all, usual) or math.max(all, usual)
    end
    most = most or tonumber(string.match(';' .. defaults .. ';', ';' .. scope .. '%.' .. rate .. '=(%d+);') or '0')
    if most > 0 then
      local meter = P .. 'meter:' .. name .. ':' .. key
      local level, at = string.match(redis.call('GET', meter) or '0:0', '^(.*):(.*)$')
      level, at = tonumber(level), tonumber(at)
      local daily = rate == 'bytes_per_day'
      if not daily then
        level, at = math.max(0, level - math.max(0, now - at) * most / 1000), now
      elseif now >= at + DAY_MS then
        level, at = 0, now
      end
      local cost = rate == 'messages_per_second' and messages or bytes
      if cost > 0 then
        level = level + cost
        local lasts = daily and at + DAY_MS - now or level / most * 1000 + BURST_MS
        redis.call('SET', meter, string.format('%.3f:%.0f', level, at), 'PX', string.format('%.0f', math.ceil(lasts) + 1))
      end
      local wait
      if daily then
        wait = level >= most and at + DAY_MS - now or 0
      else
        wait = math.max(0, level / most * 1000 - BURST_MS)
      end
      if wait > longest[1] then longest = {wait, name, level, most} end
    end
  end
  return longest
end

-- For the caller: ms to wait, the moment, rate, what was moved, what may be; nothing where nothing is owed.
local function told_due(due, now)
  if due[1] <= 0 then return {} end
  local wait = math.ceil(due[1])
  return {string.format('%.0f', wait), string.format('%.0f', now + wait), due[2], string.format('%.0f', due[3]),
          string.format('%.0f', due[4])}
end
