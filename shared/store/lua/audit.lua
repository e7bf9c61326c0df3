-- audit(unit, term, holder, folder, verified, digests_json, counts_json, notes_json, checked_json)
-- Enters what verification found in one folder: absolute counts of what is audited, notes, corrected digests. Notes of what
-- is audited that were there before are gone with that: all there is to say was found anew. Second copies that were removed, and
-- keywords that were lost, are counted once a message.
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local m = redis.call('HGET', unit_key(u), 'mailbox')
local import = redis.call('HGET', mailbox_key(m), 'import')
local key = folder_key(f)
correct_digests(f, ARGV[6])
local counts, stale = cjson.decode(ARGV[7]), false
for what, n in pairs(counts) do
  local before = tonumber(redis.call('HGET', key, what) or '0')
  stale = stale or before > 0
  count(f, m, import, what, n - before)
end
if stale then
  local notes = redis.call('HGETALL', key .. ':notes')
  for n = 1, #notes, 2 do
    if counts[string.match(notes[n], ':(.*)$')] then redis.call('HDEL', key .. ':notes', notes[n]) end
  end
end
for field, note in pairs(cjson.decode(ARGV[8])) do
  local new = redis.call('HSET', key .. ':notes', field, note) == 1
  local what = string.match(field, ':(.*)$')
  if new and (what == 'undone' or what == 'keywords_lost') then count(f, m, import, what, 1) end
end
for _, name in ipairs(cjson.decode(ARGV[9])) do mark_checked(f, name) end
redis.call('HSET', key, 'verified', ARGV[5])
return 'OK'
