-- set_flags(unit, term, holder, folder, highestmodseq, flags or ''): the flags were carried over up to this mod-sequence.
local u, term, holder, f = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
redis.call('HSET', folder_key(f), 'highestmodseq', ARGV[5])
if ARGV[6] ~= '' then redis.call('SET', folder_key(f) .. ':flags', ARGV[6]) end
return 'OK'
