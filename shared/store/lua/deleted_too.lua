-- deleted_too(unit, term, holder, folder, uids): copies of messages that were deleted at the source are about to be removed. The
-- folder is to be looked at until that is done.
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
redis.call('HSET', folder_key(f), 'deleted_too', ARGV[5], 'verified', '')
return 'OK'
