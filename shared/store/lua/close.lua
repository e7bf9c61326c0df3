-- close(import_id, mailbox_id or '', mailbox_id, …): forgets mailboxes of an import that is not under way: ledgers, notes, their places in
-- every queue; with '' the import itself, when none of its mailboxes is left. Repeated, it changes nothing. Returns 1 when there was something.
local i, m = ARGV[1], ARGV[2]
local key = import_key(i)
local state = redis.call('HGET', key, 'state')
if not state then return 0 end
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
if state == 'running' then return redis.error_reply('UNDERWAY import ' .. i .. ' is under way') end
if m ~= '' then
  local there = 0
  for n = 2, #ARGV do
    if redis.call('HGET', mailbox_key(ARGV[n]), 'import') == i then
      remove_mailbox(i, ARGV[n])
      there = 1
    end
  end
  return there
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
  redis.call('HDEL', P .. 'lanes_of', line)
  redis.call('DEL', wave_key(i, wave), P .. 'routes:' .. line, P .. 'served:' .. line)
end
for _, wave in ipairs(redis.call('HKEYS', key .. ':cutovers')) do redis.call('DEL', key .. ':cutover:' .. wave) end
redis.call('HDEL', P .. 'starving', i)
redis.call('ZREM', P .. 'imports', i)
redis.call('ZREM', P .. 'opening', i)
redis.call('SREM', P .. 'standing', i)
redis.call('ZREM', P .. 'sweeping', i)
drop_ranks(i)
redis.call('DEL', key, key .. ':cutovers', key .. ':codes', key .. ':by_source', key .. ':by_destination', key .. ':credentials', key .. ':tokens',
  key .. ':behind', key .. ':settling', key .. ':waves', key .. ':brake', key .. ':forecasts', key .. ':standing', key .. ':looks', key .. ':looking', P .. 'desk:events:' .. i, P .. 'desk:samples:' .. i, P .. 'desk:sampled:' .. i)
return 1
