-- plan_folder(unit, term, holder, folder_id, fields_json, units_json, order, messages, size, adopted_json, reset, packed,
--   skipped, skipped_messages, skipped_bytes, withheld, unreadable, flags, let_go, deleted, followed, digests_json, shown_json, settle_ms)
-- Enters one planned folder with its batches; repeating it under the same lease changes nothing.
-- The first batch is ready at once, the others wait behind it until a lane widens the folder. What voids the ledger waits until
-- no live lane has anything on the wire, and until what other lanes left cannot arrive any more (`settle_ms` after they ended)
-- since before the plan was claimed: it would forget their intents, and may have listed the folder too early. Live lanes are
-- told to stop, and the folder's batches wait with the plan. The refusal says for how many ms.
-- reset = '1': UIDVALIDITY changed or the ledger is void; what was counted is taken out of the sums first.
-- packed: the ledger text of what was adopted, all of it, in less room.
-- skipped: all that the request leaves out of the folder, packed ('' for no change), how many messages that are, and by how
-- many bytes they became more or fewer.
-- withheld: how many messages the source counts and does not show, now; '' for no change.
-- unreadable: 1 when the source does not let it be read now, else 0.
-- flags: the flags that the source showed last, packed; "" for no change.
-- let_go: the destination folder was removed by its user, with so many messages: the ledger's destination UIDs are forgotten,
-- and these messages count as removed; '' otherwise.
-- deleted: how many messages with a copy are no longer at the source, now.
-- followed: how many were moved at the source, and their copies with them, now.
-- digests: those of entries from which copies were moved away.
-- shown: fields of the notes of messages that were called vanished and that are shown again; `messages` counts them once more.
-- The least wait for a folder that is in use.
local IN_USE_MS = 1000
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local m = redis.call('HGET', unit_key(u), 'mailbox')
local import = redis.call('HGET', mailbox_key(m), 'import')
local key = folder_key(f)
local order = tonumber(ARGV[7])
local reset = ARGV[11] == '1'
local fields, adopted = cjson.decode(ARGV[5]), cjson.decode(ARGV[10])

-- The answer to an earlier call was lost: a second reset would forget what was copied since.
local call = term .. ':' .. redis.sha1hex(table.concat({ARGV[5], ARGV[6], ARGV[10], ARGV[11], ARGV[13], ARGV[16],
  ARGV[18], ARGV[19], ARGV[23]}, '\n'))
if redis.call('HGET', key, 'planned') == call then return 0 end
-- Planned up to this UIDNEXT and with this choice by an earlier holder: there is nothing new but the numbers.
local chosen = ARGV[13] == '' or redis.call('GET', key .. ':skipped') == ARGV[13]
local back = {}
for _, note in ipairs(cjson.decode(ARGV[23])) do
  if redis.call('HEXISTS', key .. ':notes', note) == 1 then back[#back + 1] = note end
end
local again = not reset and chosen and #back == 0 and redis.call('HGET', key, 'uidnext') == tostring(fields.uidnext)
  and (redis.call('HGET', key, 'hidden') or '') == fields.hidden
local conflict
if not again then
  adopted, conflict = new_of(u, f, adopted, reset)
  if conflict then return redis.error_reply('TAKEN ' .. conflict) end
end

if reset or ARGV[19] ~= '' then
  local now, planned_at = clock(), tonumber(redis.call('HGET', mailbox_key(m), 'planned_at') or '0')
  -- What was entered since this plan was claimed, perhaps by a batch that is gone, may not be in what it listed.
  local wait = tonumber(redis.call('HGET', key, 'written') or '0') >= tonumber(term) and IN_USE_MS or 0
  for _, other in ipairs(batches_of(f)) do
    local live, left = intents_of(other)
    if #live > 0 then
      redis.call('HSET', unit_key(other), 'yields', '1')
      wait = math.max(wait, IN_USE_MS)
    end
    local ended = tonumber(redis.call('HGET', unit_key(other), 'ended') or '0')
    for _, text in ipairs(left) do
      local till = math.max(ended, math.floor(cjson.decode(text).at + 0.5)) + tonumber(ARGV[24])
      if till > planned_at then wait = math.max(wait, IN_USE_MS, till - now) end
    end
  end
  if wait > 0 then
    redis.call('HSET', key, 'rests', string.format('%.0f', now + wait))
    for _, head in ipairs(heads_of(f)) do
      if redis.call('HGET', unit_key(head), 'state') == 'ready' then make_ready(head) end
    end
    return redis.error_reply(string.format('WRITTEN %.0f', wait))
  end
end
if reset then
  for _, old in ipairs(redis.call('LRANGE', key .. ':waiting', 0, -1)) do drop_unit(m, old) end
  for _, old in ipairs(heads_of(f)) do drop_unit(m, old) end
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    local field = all[n]
    if string.sub(field, 1, 2) == 'o:' or field == 'messages' or field == 'size_bytes' or field == 'done_bytes'
      or field == 'withheld' or field == 'unreadable' or field == 'altered' or field == 'normalised' or field == 'missing' or field == 'watched'
      or field == 'keywords_lost' or field == 'resized' or field == 'dates_changed' or field == 'doubled' or field == 'undone'
      or field == 'moved' or field == 'removed' or field == 'deleted_at_source'
      or field == 'moved_at_source' then
      local less = 0 - tonumber(all[n + 1]) -- not a bare minus: of 0 that is "-0", which Redis takes for no integer
      redis.call('HINCRBY', mailbox_key(m), field, less)
      redis.call('HINCRBY', import_key(import), field, less)
      redis.call('HDEL', key, field)
    end
  end
  redis.call('DEL', key .. ':ledger', key .. ':taken', key .. ':notes', key .. ':waiting', key .. ':flags',
    key .. ':skipped')
  redis.call('HDEL', key, 'moving', 'uidnext', 'verified', 'head', 'doubts', 'doubted_at', 'unchecked', 'skipped_messages',
    'accepted', 'deleted_too', 'mixed', 'alone', 'written', 'rests')
  set_writers(f, 1)
end

if ARGV[19] ~= '' then
  redis.call('DEL', key .. ':ledger', key .. ':taken')
  redis.call('HDEL', key, 'doubts', 'doubted_at', 'unchecked')
  local gone = {altered = 0, normalised = 0, missing = 0, watched = 0, doubled = 0, moved = 0, removed = tonumber(ARGV[19])}
  for what, n in pairs(gone) do count(f, m, import, what, n - tonumber(redis.call('HGET', key, what) or '0')) end
  for _, note in ipairs(redis.call('HKEYS', key .. ':notes')) do
    if gone[string.match(note, ':(.*)$')] then redis.call('HDEL', key .. ':notes', note) end
  end
end

correct_digests(f, ARGV[22])
for name, value in pairs(fields) do redis.call('HSET', key, name, value) end
redis.call('HSET', key, 'mailbox', m, 'order', order, 'planned', call)
redis.call('ZADD', mailbox_key(m) .. ':folders', order, f)
if ARGV[18] ~= '' then redis.call('SET', key .. ':flags', ARGV[18]) end
if ARGV[16] ~= '' then
  local more = tonumber(ARGV[16]) - tonumber(redis.call('HGET', key, 'withheld') or '0')
  count(f, m, import, 'withheld', more)
  count(f, m, import, 'messages', more)
end
count(f, m, import, 'unreadable', tonumber(ARGV[17]) - tonumber(redis.call('HGET', key, 'unreadable') or '0'))
for n, what in ipairs({'deleted_at_source', 'moved_at_source'}) do
  count(f, m, import, what, tonumber(ARGV[19 + n]) - tonumber(redis.call('HGET', key, what) or '0'))
end
if again then return 0 end
for _, note in ipairs(back) do redis.call('HDEL', key .. ':notes', note) end
count(f, m, import, 'o:vanished', -#back)
count(f, m, import, 'messages', tonumber(ARGV[8]) - #back)
count(f, m, import, 'size_bytes', tonumber(ARGV[9]))
if ARGV[13] ~= '' then
  redis.call('SET', key .. ':skipped', ARGV[13])
  count(f, m, import, 'o:skipped', tonumber(ARGV[14]) - tonumber(redis.call('HGET', key, 'skipped_messages') or '0'))
  redis.call('HSET', key, 'skipped_messages', ARGV[14])
  count(f, m, import, 'done_bytes', tonumber(ARGV[15]))
end
-- The ledger of what was adopted stands under a name of its own, since the plan unit is gone after planning.
-- What is wanted after all may be adopted under the same UIDNEXT as others before. Copies that were moved with their
-- messages are ours.
local ours = #adopted > 0
for _, s in ipairs(adopted) do ours = ours and s.outcome == 'copied' end
local ledger, name = key .. ':ledger', (ours and 'followed.' or 'adopted.') .. tostring(fields.uidnext)
while redis.call('HEXISTS', ledger, name) == 1 do name = name .. '+' end
for _, s in ipairs(adopted) do settle(u, f, m, import, s) end
if redis.call('HEXISTS', ledger, u) == 1 then
  redis.call('HSET', ledger, name, ARGV[12], name .. '#', redis.call('HGET', ledger, u .. '#'))
  redis.call('HDEL', ledger, u, u .. '#')
end
redis.call('HSET', unit_key(u), 'others', '')
for n, b in ipairs(cjson.decode(ARGV[6])) do
  if redis.call('EXISTS', unit_key(b.id)) == 0 then
    new_unit(b.id, 'copy', m, f, b.uids, b.size, b.messages, b.band * BAND + order * 100000 + n, 'waiting', 0)
    queue_batch(f, b.id)
  end
end
refresh(m)
return 1
