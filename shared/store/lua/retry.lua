-- retry(import_id, mailbox_id, batches_json, struck_json): a parked or cancelled mailbox is queued again; refused and failed messages
-- become pending again, and of a settled mailbox those that the destination no longer shows. batches: [{folder, id, uids, size,
-- adopted, notes: [field]}]; the notes name the messages, and a batch none of whose notes is there was queued by an earlier call.
-- struck: folder → [[entry of the ledger, SHA-1 of what it was, its records without what is missing, as text]].
local i, m = ARGV[1], ARGV[2]
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
local key = import_key(i)
if redis.call('HGET', mailbox_key(m), 'import') ~= i then return 0 end
local batches = cjson.decode(ARGV[3])
local settled = SETTLED[redis.call('HGET', mailbox_key(m), 'state')]
local struck = settled and cjson.decode(ARGV[4]) or {}
for _, b in ipairs(settled and batches or {}) do
  for _, field in ipairs(b.notes) do
    local missing = string.match(field, ':missing$')
    if missing and redis.call('HEXISTS', folder_key(b.folder) .. ':notes', field) == 0 then return 0 end
  end
end
for f, entries in pairs(struck) do
  for _, entry in ipairs(entries) do
    local before = redis.call('HGET', folder_key(f) .. ':ledger', entry[1])
    -- Another call was quicker.
    if not before or redis.sha1hex(before) ~= entry[2] then return 0 end
  end
end
for f, entries in pairs(struck) do
  for _, entry in ipairs(entries) do
    if entry[3] == '' then
      mark_checked(f, entry[1])
      redis.call('HDEL', folder_key(f) .. ':ledger', entry[1], entry[1] .. '#')
    else
      redis.call('HSET', folder_key(f) .. ':ledger', entry[1], entry[3])
    end
  end
end
local moved = move_mailbox(m, 'again')
if not moved and #batches == 0 then return 0 end
set_failure(m, '')
redis.call('HDEL', mailbox_key(m), 'login:source', 'login:destination', 'after_look')
redis.call('HSET', mailbox_key(m), 'control', 'run')
local queued = 0
for _, b in ipairs(batches) do
  local f = folder_key(b.folder)
  local given = {refused = 0, failed = 0, missing = settled and 0 or nil}
  for _, field in ipairs(b.notes) do
    local what = string.match(field, ':(.*)$')
    if given[what] then given[what] = given[what] + redis.call('HDEL', f .. ':notes', field) end
  end
  local missing = given.missing or 0
  local messages = given.refused + given.failed + missing
  if messages > 0 and redis.call('EXISTS', unit_key(b.id)) == 0 then
    local order = tonumber(redis.call('HGET', f, 'order') or '1')
    count(b.folder, m, i, 'o:refused', -given.refused)
    count(b.folder, m, i, 'o:failed', -given.failed)
    if missing > 0 then
      local copied = math.min(missing - b.adopted, tonumber(redis.call('HGET', f, 'o:copied') or '0'))
      count(b.folder, m, i, 'missing', -missing)
      count(b.folder, m, i, 'o:copied', -copied)
      count(b.folder, m, i, 'o:already_present', copied - missing)
    end
    count(b.folder, m, i, 'done_bytes', -b.size)
    new_unit(b.id, 'copy', m, b.folder, b.uids, b.size, messages, order * 100000, 'waiting', 0)
    queue_batch(b.folder, b.id)
    queued = queued + 1
  end
end
for _, u in ipairs(redis.call('SMEMBERS', mailbox_key(m) .. ':open')) do
  redis.call('HSET', unit_key(u), 'attempts', 0)
end
-- A verification under way would close the mailbox over batches that are open.
if not moved and queued > 0 and redis.call('HGET', mailbox_key(m), 'state') == 'verifying' then move_mailbox(m, 'replan') end
if redis.call('HGET', mailbox_key(m), 'state') == 'queued' then plan_unit(m) end
redis.call('PERSIST', key .. ':credentials')
reopen_import(i)
if redis.call('HGET', key, 'control') == 'cancel' then redis.call('HSET', key, 'control', 'run') end
refresh(m)
return 1
