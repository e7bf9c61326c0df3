-- Put before the scripts that make, give back or end a unit and its lease.

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
