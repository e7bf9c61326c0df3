-- Put before the scripts that queue the batches of a folder: its heads may be written, the others wait behind them.

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
