-- mixed(unit, term, holder, folder): another writer's copy is about to be entered in place of ours.
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
redis.call('HSET', folder_key(f), 'mixed', '1')
return 'OK'
