-- finish(unit, term, holder, compact, checked): closes a unit. `compact`: the batch's whole ledger text, packed, or ''.
-- checked = '1': the destination was read back and holds what the ledger says of this batch.
-- The next batch of the folder becomes ready; after the last one the mailbox moves on; after the last mailbox the
-- import does. All in this one script, so that there is no moment in which a crash could lose the next step.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
-- What its holder entered before the store was started again may be gone: the unit is done once more, and that attempt was none.
if tonumber(term) <= tonumber(redis.call('HGET', P .. 'restarted', 'term') or '0') then
  local h = redis.call('HMGET', unit_key(u), 'done', 'began')
  if tonumber(h[1]) <= tonumber(h[2] or h[1]) then forgive(u) end -- else take_back does
  take_back(u)
  return redis.error_reply('FORGOT ' .. u)
end
if redis.call('EXISTS', unit_key(u) .. ':intents') == 1 then return redis.error_reply('OPEN intents of ' .. u) end
local h = redis.call('HMGET', unit_key(u), 'mailbox', 'folder', 'kind', 'messages', 'done')
local m, folder, kind = h[1], h[2], h[3]
if kind == 'look' then return redis.error_reply('ILLEGAL ' .. u .. ' is a look') end
-- A message without an outcome would never get one any more.
if kind == 'copy' and tonumber(h[5]) < tonumber(h[4]) then
  return redis.error_reply('OPEN messages of ' .. u .. ': ' .. h[4] - h[5])
end
local import = redis.call('HGET', mailbox_key(m), 'import')
if ARGV[4] ~= '' and folder ~= '' then redis.call('HSET', folder_key(folder) .. ':ledger', u, ARGV[4]) end
if ARGV[5] == '1' then mark_checked(folder, u) end
drop_unit(m, u)
-- A plan writes no message: it does not show that what stopped a copy is over, such as a full mailbox.
local failed = kind == 'plan' and redis.call('HGET', mailbox_key(m), 'failure')
if not failed or cjson.decode(failed).folder == '' then get_on(m) end
if folder ~= '' then next_batch(folder, u) end
if kind == 'plan' then move_mailbox(m, 'planned') end
if kind == 'verify' and move_mailbox(m, 'verified') then
  set_failure(m, '')
  local shared = mailbox_key(m) .. ':shared'
  for _, bucket in ipairs(redis.call('SMEMBERS', shared)) do redis.call('DEL', shared .. ':' .. bucket) end
  redis.call('DEL', shared)
end
drain(m)
refresh(m)
settle_import(import)
return redis.call('ZCARD', mailbox_key(m) .. ':ready')
