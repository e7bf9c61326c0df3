-- Put before the scripts that move a mailbox or an import along its states (shared.model.lifecycle).

-- A parked mailbox is tried again by itself after so many ms; 0: not before a person acts.
local function set_again(m, ms)
  local own = import_key(redis.call('HGET', mailbox_key(m), 'import') or '') .. ':again'
  if ms > 0 then
    local at = clock() + ms
    redis.call('ZADD', P .. 'again', at, m)
    redis.call('ZADD', own, at, m)
    redis.call('HSET', mailbox_key(m), 'again_at', string.format('%.0f', at))
  elseif redis.call('ZREM', P .. 'again', m) == 1 then
    redis.call('ZREM', own, m)
    redis.call('HDEL', mailbox_key(m), 'again_at')
  end
end

-- What went wrong last with a mailbox, JSON, or '' when nothing is any more. Mailboxes are also kept by it, by row, so that
-- a page of those that share it is found at once.
local function set_failure(m, text)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'import', 'failure', 'row')
  local before, after = string.match(h[2] or '', CODE), string.match(text, CODE)
  if before ~= after then
    local codes = import_key(h[1]) .. ':codes'
    if before then
      redis.call('ZREM', import_key(h[1]) .. ':code:' .. before, m)
      if redis.call('HINCRBY', codes, before, -1) <= 0 then redis.call('HDEL', codes, before) end
    end
    if after then
      redis.call('ZADD', import_key(h[1]) .. ':code:' .. after, h[3] or 0, m)
      redis.call('HINCRBY', codes, after, 1)
    end
  end
  redis.call('HDEL', key, 'over_at')
  if text ~= '' then redis.call('HSET', key, 'failure', text) else redis.call('HDEL', key, 'failure') end
end

-- The mailbox gets on again: what went wrong with it last is over since now, unless it is already.
local function get_on(m)
  local h = redis.call('HMGET', mailbox_key(m), 'failure', 'over_at')
  if h[1] and not h[2] then redis.call('HSET', mailbox_key(m), 'over_at', clock()) end
end

local function set_compared(m, messages)
  local h = redis.call('HMGET', mailbox_key(m), 'compared', 'import')
  local before = tonumber(h[1] or '0')
  if before == messages then return end
  redis.call('HSET', mailbox_key(m), 'compared', messages)
  redis.call('HINCRBY', import_key(h[2]), 'compared', messages - before)
end

local function move_mailbox(m, event)
  local key = mailbox_key(m)
  local h = redis.call('HMGET', key, 'state', 'import', 'row', 'wave')
  local after = advance('mailbox', h[1], event)
  if not after then return false end
  if event == 'again' or event == 'replan' then set_compared(m, 0) end
  if after ~= h[1] then
    redis.call('HSET', key, 'state', after)
    redis.call('ZREM', import_key(h[2]) .. ':in:' .. h[1], m)
    redis.call('ZADD', import_key(h[2]) .. ':in:' .. after, h[3] or 0, m)
    redis.call('ZREM', import_key(h[2]) .. ':settling', m)
    if h[1] == 'parked' then set_again(m, 0) end
    if h[1] == 'complete' then end_look(m) end
    if event == 'verified' then
      end_pass(m)
      plan_look(m)
    end
    if SETTLED[after] then leave_destination(m) end
    redis.call('HINCRBY', import_key(h[2]), 's:' .. h[1], -1)
    redis.call('HINCRBY', import_key(h[2]), 's:' .. after, 1)
    if h[4] then
      redis.call('HINCRBY', wave_key(h[2], h[4]), 's:' .. h[1], -1)
      redis.call('HINCRBY', wave_key(h[2], h[4]), 's:' .. after, 1)
    end
  end
  return after
end

-- A mailbox as it stands in the order by the logins of a side, and is looked for: "login\0other login\0id", in lower case.
local function name_of(m, side)
  local first, second = 'source_login', 'destination_login'
  if side == 'destination' then first, second = second, first end
  local h = redis.call('HMGET', mailbox_key(m), first, second)
  return string.gsub(string.lower(h[1] or '') .. '\0' .. string.lower(h[2] or ''), '\n', ' ') .. '\0' .. m
end

-- Forgets the order by logins, also what was begun of it.
local function drop_ranks(i)
  local import = import_key(i)
  redis.call('DEL', import .. ':ranked_source', import .. ':ranked_destination', import .. ':names', import .. ':sorting_source',
    import .. ':sorting_destination')
end

-- Forgets a mailbox: its ledger, its notes, its place in every queue. The sums of its import stay as they are.
local function remove_mailbox(i, m)
  local h = redis.call('HMGET', mailbox_key(m), 'import', 'stands', 'ready', 'destination_key', 'state')
  for _, u in ipairs(redis.call('SMEMBERS', mailbox_key(m) .. ':open')) do drop_unit(m, u) end
  for _, f in ipairs(redis.call('ZRANGE', mailbox_key(m) .. ':folders', 0, -1)) do
    local folder = folder_key(f)
    redis.call('DEL', folder, folder .. ':waiting', folder .. ':ledger', folder .. ':taken', folder .. ':notes', folder .. ':flags',
      folder .. ':skipped')
  end
  for _, bucket in ipairs(redis.call('SMEMBERS', mailbox_key(m) .. ':shared')) do
    redis.call('DEL', mailbox_key(m) .. ':shared:' .. bucket)
  end
  set_failure(m, '')
  set_behind(m, nil)
  set_again(m, 0)
  end_look(m)
  -- The next search makes them again.
  drop_ranks(i)
  for _, code in pairs(TROUBLE_OF) do redis.call('ZREM', import_key(i) .. ':code:' .. code, m) end
  if h[2] then leave_queue(m, h[2]) end
  redis.call('ZREM', P .. 'urgent', m)
  set_wave(m, '')
  if h[3] and tonumber(h[3]) ~= 0 then redis.call('INCRBY', P .. 'ready_units', -tonumber(h[3])) end
  if h[4] then
    redis.call('ZREM', P .. 'destination:' .. h[4], m)
    if redis.call('HGET', P .. 'destinations', h[4]) == m then free_destination(h[4]) end
  end
  local every = mailbox_key(m)
  redis.call('DEL', every, every .. ':folders', every .. ':open', every .. ':ready', every .. ':failures', every .. ':maildrop', every .. ':marks',
    every .. ':maildrop:said', every .. ':shared')
  for _, wave in ipairs(redis.call('HKEYS', import_key(i) .. ':cutovers')) do
    redis.call('HDEL', import_key(i) .. ':cutover:' .. wave, m)
  end
  redis.call('ZREM', import_key(i) .. ':mailboxes', m)
  redis.call('ZREM', import_key(i) .. ':settling', m)
  if h[5] then redis.call('ZREM', import_key(i) .. ':in:' .. h[5], m) end
end

-- An import is settled when every mailbox is: called after each change that may have been the last.
local function settle_import(i)
  local key = import_key(i)
  local h = redis.call('HMGET', key, 'state', 'mailboxes', 's:complete', 's:parked', 's:cancelled', 'retention')
  if h[1] ~= 'running' then return end
  local settled = tonumber(h[3] or '0') + tonumber(h[4] or '0') + tonumber(h[5] or '0')
  if settled >= tonumber(h[2] or '0') then
    redis.call('HSET', key, 'state', advance('import', 'running', 'settled'), 'finished_at', clock())
    -- Passwords are kept from when a person last set it going: what goes on by itself keeps them no longer. What stands needs them.
    if redis.call('TTL', key .. ':credentials') < 0 and redis.call('EXISTS', key .. ':standing') == 0 then redis.call('EXPIRE', key .. ':credentials', h[6] or 1209600) end
  end
end

-- There is something to do again: an import that was finished runs, and is taken out of the archive.
local function reopen_import(i)
  local key = import_key(i)
  local state = redis.call('HGET', key, 'state')
  local after = advance('import', state, 'reopened')
  if after and after ~= state then
    redis.call('HSET', key, 'state', after, 'finished_at', 0)
    redis.call('HDEL', key, 'archived_at')
  end
end

-- An import ('') or a wave stands from now on ("least:most:switch", ms), or no longer ('off'); its mailboxes follow by a sweep. As long
-- as anything of an import stands its passwords are kept. What stands is in no archive.
local function set_standing(i, wave, text)
  local key = import_key(i)
  local standing = key .. ':standing'
  if text ~= 'off' then
    redis.call('HSET', standing, wave, text)
    redis.call('HDEL', key, 'archived_at')
  elseif wave == '' then
    redis.call('DEL', standing)
  elseif redis.call('HEXISTS', standing, '') == 1 then
    redis.call('HSET', standing, wave, 'off')
  else
    redis.call('HDEL', standing, wave)
  end
  if redis.call('EXISTS', standing) == 1 then
    redis.call('SADD', P .. 'standing', i)
    redis.call('PERSIST', key .. ':credentials')
  elseif redis.call('SREM', P .. 'standing', i) == 1 then
    local h = redis.call('HMGET', key, 'state', 'retention')
    if h[1] == 'finished' then redis.call('EXPIRE', key .. ':credentials', h[2] or 1209600) end
  end
end

-- A queued mailbox has a plan unit, and no verification any more: what is verified has to be planned and copied before.
local function plan_unit(m)
  if redis.call('EXISTS', unit_key(m .. '.verify')) == 1 then drop_unit(m, m .. '.verify') end
  local u = m .. '.plan'
  if redis.call('SISMEMBER', mailbox_key(m) .. ':open', u) == 0 then
    new_unit(u, 'plan', m, '', '', 0, 0, 0, 'ready', 0)
  else
    redis.call('HSET', unit_key(u), 'attempts', 0)
  end
  if redis.call('HGET', unit_key(u), 'state') == 'leased' then
    -- Somebody is at it since before it was queued again, and what he finds is as good.
    move_mailbox(m, 'plan_claimed')
  else
    redis.call('ZREM', P .. 'delayed', u)
    make_ready(u)
  end
end

-- Nothing open any more: the mailbox goes on to be verified, and only then is complete.
local function drain(m)
  local key = mailbox_key(m)
  if redis.call('EXISTS', key .. ':open') == 1 then return end
  if move_mailbox(m, 'drained') then
    local u = m .. '.verify'
    new_unit(u, 'verify', m, '', '', 0, 0, LAST, 'ready', 0)
    make_ready(u)
  end
end
