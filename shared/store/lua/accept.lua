-- accept(import_id, mailbox_id, folder_id, uids_json): of these messages that the destination no longer shows, those that are noted
-- as missing are so by a person's will from now on. Only of a mailbox that is settled. How many.
local i, m, f = ARGV[1], ARGV[2], ARGV[3]
local h = redis.call('HMGET', mailbox_key(m), 'import', 'state')
if h[1] ~= i or not SETTLED[h[2]] or redis.call('HGET', folder_key(f), 'mailbox') ~= m then return 0 end
local notes, ranges, given = folder_key(f) .. ':notes', {}, 0
for _, uid in ipairs(cjson.decode(ARGV[4])) do
  local said = redis.call('HGET', notes, uid .. ':missing')
  if said then
    redis.call('HDEL', notes, uid .. ':missing')
    redis.call('HSET', notes, uid .. ':accepted', said)
    given = given + 1
    local last = ranges[#ranges]
    if last and last[2] == uid - 1 then last[2] = uid else ranges[#ranges + 1] = {uid, uid} end
  end
end
if given == 0 then return 0 end
local texts = {redis.call('HGET', folder_key(f), 'accepted') or nil}
for _, range in ipairs(ranges) do texts[#texts + 1] = string.format('%.0f:%.0f', range[1], range[2]) end
redis.call('HSET', folder_key(f), 'accepted', table.concat(texts, ','))
count(f, m, i, 'missing', -given)
return given
