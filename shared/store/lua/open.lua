-- open(import_id, fields_json, rows_json): writes an import and some of its mailboxes; safe to repeat, in pieces.
-- Nothing new is served before `submit`. A mailbox that is settled is queued again (a delta pass); one that is under way is
-- left alone. Options count for the whole import: while anything is under way, others are refused.
-- rows: [{id, row, source, source_login, destination_login, route, source_account, source_host, destination_account, destination_host, profile,
--   destination_key, source_key, wave, wave_by_rule, priority, group}]; a mailbox that is opened again keeps its wave and its priority where
-- the row gives none, and its wave too where a rule gave it.

-- A mailbox that a person cancelled by itself: before the start of its import it stays so, whatever else is changed.
local function cancelled_alone(m)
  local h = redis.call('HMGET', mailbox_key(m), 'state', 'control')
  return h[1] == 'cancelled' and h[2] == 'cancel'
end

local i, fields, rows = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local key = import_key(i)
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
local queued, unstarted = 0, false
if redis.call('EXISTS', key) == 0 then
  redis.call('HSET', key, 'state', 'opening', 'control', 'run', 'created_at', clock(), 'passes', 0, 'mailboxes', 0)
  redis.call('HSET', key, 'fresh', 1, 'by_trouble', 1)
  redis.call('ZADD', P .. 'imports', clock(), i)
else
  local h = redis.call('HMGET', key, 'state', 'options', 's:planning', 's:copying', 's:verifying', 's:queued', 'passes')
  unstarted = h[1] == 'opening' and tonumber(h[7]) == 0
  -- What is queued in an import that is only being opened was given to nobody yet.
  local busy = h[1] ~= 'opening' and tonumber(h[6] or '0') or 0
  for n = 3, 5 do busy = busy + tonumber(h[n] or '0') end
  if busy > 0 then
    local old, differ = cjson.decode(h[2]), {}
    for name, value in pairs(cjson.decode(fields.options)) do
      -- How to sign in is no part of what is done, and may be corrected at any time.
      if old[name] ~= nil and not string.match(name, '_sign_in$') and cjson.encode(old[name]) ~= cjson.encode(value) then differ[#differ + 1] = name end
    end
    table.sort(differ)
    if #differ > 0 then return redis.error_reply('BUSY ' .. table.concat(differ, ',')) end
  end
  if h[1] == 'finished' then redis.call('HSET', key, 'fresh', 1) end
  redis.call('HSET', key, 'state', advance('import', h[1], 'again'))
end
for name, value in pairs(fields) do redis.call('HSET', key, name, value) end
redis.call('PERSIST', key .. ':credentials')
for _, r in ipairs(rows) do
  local m = mailbox_key(r.id)
  local opened, new = false, redis.call('EXISTS', m) == 0
  redis.call('ZADD', key .. ':mailboxes', r.row, r.id)
  if new then
    redis.call('HSET', m, 'import', i, 'state', 'queued', 'control', 'run', 'pass', 0)
    redis.call('HINCRBY', key, 'mailboxes', 1)
    redis.call('HINCRBY', key, 's:queued', 1)
    opened = true
  elseif not (unstarted and cancelled_alone(r.id)) and move_mailbox(r.id, 'again') then
    redis.call('HSET', m, 'control', 'run')
    redis.call('HDEL', m, 'after_look')
    set_failure(r.id, '')
    opened = true
  end
  redis.call('HSET', m, 'row', r.row)
  local h = redis.call('HMGET', m, 'state', 'failure', 'wave')
  if h[3] then redis.call('ZADD', members_key(i, h[3]), r.row, r.id) end
  redis.call('ZADD', key .. ':in:' .. h[1], r.row, r.id)
  if not new then
    for _, trouble in pairs(TROUBLE_OF) do redis.call('ZADD', key .. ':code:' .. trouble, 'XX', r.row, r.id) end
  end
  local code = string.match(h[2] or '', CODE)
  if code then redis.call('ZADD', key .. ':code:' .. code, r.row, r.id) end
  -- The same for a mailbox that an older version wrote: its login cannot have changed, only whether capitals count.
  local before = redis.call('HGET', m, 'destination_key')
  if before ~= r.destination_key then
    if before then redis.call('ZREM', P .. 'destination:' .. before, r.id) end
    redis.call('ZADD', P .. 'destination:' .. r.destination_key, 0, r.id)
  end
  redis.call('HSET', m, 'destination_key', r.destination_key, 'source_key', r.source_key)
  -- What nobody has begun to plan may still be for somebody else.
  if redis.call('HGET', m, 'state') == 'queued' then
    redis.call('HSET', m, 'source_login', r.source_login, 'destination_login', r.destination_login,
      'route', r.route, 'source_account', r.source_account, 'source_host', r.source_host,
      'destination_account', r.destination_account, 'destination_host', r.destination_host)
    if r.source ~= '' then redis.call('HSET', m, 'source', r.source) else redis.call('HDEL', m, 'source') end
    if r.profile ~= '' then redis.call('HSET', m, 'profile', r.profile) else redis.call('HDEL', m, 'profile') end
    if r.group ~= '' then redis.call('HSET', m, 'group', r.group) else redis.call('HDEL', m, 'group') end
  end
  if opened then
    queued = queued + 1
    if r.wave ~= '' and (new or not r.wave_by_rule) then set_wave(r.id, r.wave) end
    if r.priority ~= 0 then set_priority(r.id, r.priority) end
    plan_unit(r.id)
  end
end
return queued
