-- set_flags(unit, term, holder, folder, highestmodseq, flags): the flags were carried over up to this mod-sequence.
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
redis.call('HSET', folder_key(f), 'highestmodseq', ARGV[5])
redis.call('SET', folder_key(f) .. ':flags', ARGV[6])
return 'OK'
