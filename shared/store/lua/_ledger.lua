-- Put before the scripts that write into the ledger, which is a bijection of source and destination UIDs.

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
  resized = 'resized',
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
