-- note_unplanned(unit, term, holder, digests): what the source listed at this plan and what is no planned folder.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
redis.call('HSET', mailbox_key(redis.call('HGET', unit_key(u), 'mailbox')), 'unplanned', ARGV[4])
return 'OK'
