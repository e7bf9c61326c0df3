-- note_left_out(unit, term, holder, other, public): folders of other people and public ones that the plan left out.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
redis.call('HSET', mailbox_key(redis.call('HGET', unit_key(u), 'mailbox')), 'other_folders', ARGV[4], 'public_folders', ARGV[5])
return 'OK'
