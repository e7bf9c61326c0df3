-- retry(import_id, mailbox_id, batches_json): a parked or cancelled mailbox is queued again; refused and failed messages
-- become pending again. batches: [{folder, id, uids, size, messages, notes: [field]}]; the notes name the messages, and
-- a batch none of whose notes is there was queued by an earlier call.
local i, m = ARGV[1], ARGV[2]
local key = import_key(i)
if redis.call('HGET', mailbox_key(m), 'import') ~= i then return 0 end
local batches = cjson.decode(ARGV[3])
local moved = move_mailbox(m, 'again')
if not moved and #batches == 0 then return 0 end
set_failure(m, '')
redis.call('HDEL', mailbox_key(m), 'login:source', 'login:destination')
redis.call('HSET', mailbox_key(m), 'control', 'run')
local queued = 0
for _, b in ipairs(batches) do
  local f = folder_key(b.folder)
  local given = {refused = 0, failed = 0}
  for _, field in ipairs(b.notes) do
    local what = string.match(field, ':(.*)$')
    if given[what] then given[what] = given[what] + redis.call('HDEL', f .. ':notes', field) end
  end
  local messages = given.refused + given.failed
  if messages > 0 and redis.call('EXISTS', unit_key(b.id)) == 0 then
    local order = tonumber(redis.call('HGET', f, 'order') or '1')
    count(b.folder, m, i, 'o:refused', -given.refused)
    count(b.folder, m, i, 'o:failed', -given.failed)
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
