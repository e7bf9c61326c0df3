-- Put before the scripts that plan, begin or end the look at a mailbox that stands: shared/rules/standing.py says what it means.

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
  local h = redis.call('HMGET', key, 'import', 'look_at', 'wave')
  -- It stands no longer, and a sweep has not come to it yet.
  if not standing_of(h[1], h[3]) then
    end_look(m)
    return
  end
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
