-- shown_again(unit, term, holder, folder, hidden, field, field, …): messages that were called vanished are shown by the source again.
-- They are withheld from now on, as what a plan takes up when it is shown; `hidden`: all such UIDs of the folder. The fields are
-- those of their notes; repeated, it changes nothing.
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local m, back = redis.call('HGET', unit_key(u), 'mailbox'), 0
local import = redis.call('HGET', mailbox_key(m), 'import')
for n = 6, #ARGV do back = back + redis.call('HDEL', folder_key(f) .. ':notes', ARGV[n]) end
if back == 0 then return 'OK' end
redis.call('HSET', folder_key(f), 'hidden', ARGV[5])
count(f, m, import, 'o:vanished', -back)
count(f, m, import, 'withheld', back)
return 'OK'
