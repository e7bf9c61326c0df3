-- close(import_id, mailbox_id or ''): forgets a mailbox of an import that is not under way: its ledger, its notes, its place in every
-- queue; with '' the import itself, when none of its mailboxes is left. Repeated, it changes nothing. Returns 1 when there was something.
local i, m = ARGV[1], ARGV[2]
local key = import_key(i)
local state = redis.call('HGET', key, 'state')
if not state then return 0 end
if state == 'running' then return redis.error_reply('ILLEGAL import ' .. i .. ' is under way') end
if m ~= '' then
  local h = redis.call('HMGET', mailbox_key(m), 'import', 'stands', 'ready', 'destination_key')
  if h[1] ~= i then return 0 end
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
  if h[2] then leave_queue(m, h[2]) end
  redis.call('ZREM', P .. 'urgent', m)
  set_wave(m, '')
  if h[3] and tonumber(h[3]) ~= 0 then redis.call('INCRBY', P .. 'ready_units', -tonumber(h[3])) end
  if h[4] then
    redis.call('ZREM', P .. 'destination:' .. h[4], m)
    if redis.call('HGET', P .. 'destinations', h[4]) == m then free_destination(h[4]) end
  end
  local every = mailbox_key(m)
  redis.call('DEL', every, every .. ':folders', every .. ':open', every .. ':ready', every .. ':failures', every .. ':maildrop',
    every .. ':maildrop:said', every .. ':shared')
  redis.call('ZREM', key .. ':mailboxes', m)
  redis.call('ZREM', key .. ':settling', m)
  return 1
end
if redis.call('EXISTS', key .. ':mailboxes') == 1 then return redis.error_reply('ILLEGAL import ' .. i .. ' has mailboxes') end
for _, edges in pairs(MACHINES.mailbox) do
  for before, after in pairs(edges) do redis.call('DEL', key .. ':in:' .. before, key .. ':in:' .. after) end
end
local waves = redis.call('ZRANGE', key .. ':waves', 0, -1)
waves[#waves + 1] = ''
for _, wave in ipairs(waves) do
  local line = i .. ':' .. wave
  redis.call('ZREM', P .. 'lines', line)
  redis.call('ZREM', P .. 'starting', line, line .. '\0hours')
  redis.call('HDEL', P .. 'orders', line)
  redis.call('DEL', wave_key(i, wave), P .. 'routes:' .. line, P .. 'served:' .. line)
end
redis.call('ZREM', P .. 'imports', i)
redis.call('ZREM', P .. 'opening', i)
redis.call('DEL', key, key .. ':codes', key .. ':by_source', key .. ':by_destination', key .. ':credentials', key .. ':tokens',
  key .. ':behind', key .. ':settling', key .. ':waves', key .. ':brake', P .. 'desk:events:' .. i, P .. 'desk:samples:' .. i, P .. 'desk:sampled:' .. i)
return 1
