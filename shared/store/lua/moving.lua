-- moving(unit, term, holder, folder, moving): copies of the folder are about to be moved into others; '' for none.
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
if ARGV[5] == '' then redis.call('HDEL', folder_key(f), 'moving') else redis.call('HSET', folder_key(f), 'moving', ARGV[5]) end
return 'OK'
