-- compared(unit, term, holder, messages): so many messages of the mailbox were read back on both sides in this verification.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
set_compared(redis.call('HGET', unit_key(u), 'mailbox'), tonumber(ARGV[4]))
return 'OK'
