-- erase(import_id, mailbox_id): forgets one mailbox of an import that stays, and takes it off the import's sums: one that is settled, or
-- queued in an import that was never started. Repeated, it changes nothing. Returns 1 when there was something.
local SUMS = {
  'messages', 'size_bytes', 'done_bytes', 'o:copied', 'o:already_present', 'o:skipped', 'o:refused', 'o:vanished', 'o:failed',
  'withheld', 'unreadable', 'altered', 'normalised', 'dates_changed', 'watched', 'keywords_lost', 'missing', 'moved', 'removed',
  'resized', 'doubled', 'undone', 'compared', 'deleted_at_source', 'moved_at_source'
}
local i, m = ARGV[1], ARGV[2]
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
local key, whole = mailbox_key(m), import_key(i)
local h = redis.call('HMGET', key, 'import', 'state')
if h[1] ~= i then return 0 end
local begun = redis.call('HMGET', whole, 'state', 'passes')
-- What is queued in an import that is only being opened was given to nobody yet.
local unstarted = h[2] == 'queued' and begun[1] == 'opening' and tonumber(begun[2]) == 0
if not SETTLED[h[2]] and not unstarted then return redis.error_reply('UNDERWAY mailbox ' .. m .. ' is under way') end
for _, u in ipairs(redis.call('SMEMBERS', key .. ':open')) do
  if redis.call('HGET', unit_key(u), 'state') == 'leased' then
    return redis.error_reply('UNDERWAY mailbox ' .. m .. ' is under way')
  end
end
for n, sum in ipairs(redis.call('HMGET', key, unpack(SUMS))) do
  if sum and tonumber(sum) ~= 0 then redis.call('HINCRBY', whole, SUMS[n], -tonumber(sum)) end
end
redis.call('HINCRBY', whole, 'mailboxes', -1)
redis.call('HINCRBY', whole, 's:' .. h[2], -1)
redis.call('HDEL', whole .. ':credentials', m .. ':source', m .. ':destination')
redis.call('DEL', whole .. ':by_source', whole .. ':by_destination')
remove_mailbox(i, m)
settle_import(i)
return 1
