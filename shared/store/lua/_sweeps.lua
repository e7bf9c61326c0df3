-- Put before the scripts that change every mailbox of an import or of a wave. They do it in pieces, so that no script holds the server
-- for long: a sweep stands in its import until the last mailbox had its turn. An import has one at a time. A script that would count on
-- what a sweep has not done yet is refused (SWEEPING), and its caller does the next pieces first; the coordinator does those of a
-- caller that died.

-- Whether a change of this import was decided that is not wholly made yet (decide.lua). Its own calls have its key.
local function edited(i)
  local token = redis.call('HGET', P .. 'edits', i)
  return token and P .. 'edit:' .. token ~= KEYS[1]
end

-- All calls of a change are made, or it was refused.
local function end_edit(token)
  local edits = redis.call('HGETALL', P .. 'edits')
  for n = 1, #edits, 2 do
    if edits[n + 1] == token then redis.call('HDEL', P .. 'edits', edits[n]) end
  end
end

local function sweeping(i) return edited(i) or redis.call('HEXISTS', import_key(i), 'sweep') == 1 end

-- The state of the import or the wave says already what is wanted; here each mailbox follows. So all of it may be done twice, and
-- what is not done yet only waits: a mailbox that is not wanted any more is given to nobody although it still stands in its queue.
local function sweep_mailbox(m, word)
  if word == 'run' then redis.call('HSET', mailbox_key(m), 'control', 'run') end
  if word == 'cancel' then move_mailbox(m, 'cancel') end
  if word == 'cancel' or word == 'look' then plan_look(m) end
  refresh(m)
end

-- Does the next `piece` mailboxes of an import's sweep. Returns 1 while some are left, else 0.
local function sweep_on(i, piece)
  local key = import_key(i)
  local word, at, wave = string.match(redis.call('HGET', key, 'sweep') or '', '^(%a+):(%d+):(.*)$')
  if word then
    local first = tonumber(at)
    local page = redis.call('ZRANGE', wave == '' and key .. ':mailboxes' or members_key(i, wave), first, first + piece - 1)
    for _, m in ipairs(page) do sweep_mailbox(m, word) end
    if #page == piece then
      redis.call('HSET', key, 'sweep', word .. ':' .. string.format('%d', first + piece) .. ':' .. wave)
      return 1
    end
    redis.call('HDEL', key, 'sweep')
    -- A cancelled wave is none that stays so: what is cancelled are its mailboxes.
    if word == 'cancel' and wave ~= '' then redis.call('HSET', wave_key(i, wave), 'control', 'run') end
    settle_import(i)
  end
  redis.call('ZREM', P .. 'sweeping', i)
  return 0
end

-- Begins a sweep of an import ('') or of a wave: `refresh` enters its mailboxes in their queues or takes them out, `run` and `cancel`
-- are words of people, `look` is for what stands or does no longer. Nothing is done of it yet.
local function begin_sweep(i, word, wave)
  redis.call('HSET', import_key(i), 'sweep', word .. ':0:' .. wave)
  redis.call('ZADD', P .. 'sweeping', clock(), i)
end

-- Begins what is due of imports and waves that waited for a moment. What meets a sweep waits for its end.
local function begin_due(queue, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. queue, '-inf', now)) do
    local i, wave = string.match(name, '^([^:]*):?([^%z]*)')
    if redis.call('EXISTS', import_key(i)) == 0 then
      redis.call('ZREM', P .. queue, name)
    elseif not sweeping(i) then
      redis.call('ZREM', P .. queue, name)
      begin_sweep(i, 'refresh', wave)
    end
  end
end

-- Whether something is due that waited for the end of a sweep. What is being changed in one step comes when that is done.
local function is_due(queue, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. queue, '-inf', now)) do
    if not edited(string.match(name, '^[^:]*')) then return true end
  end
end
