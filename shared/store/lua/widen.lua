-- widen(unit, term, holder, writers): so many batches of the unit's folder may be at work at once, and those that wait are made
-- ready. 0: one at a time until the folder is drained, whoever says otherwise; those that nobody is at wait again. Returns how
-- many may be.
local u, term, holder, writers = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local h = redis.call('HMGET', unit_key(u), 'mailbox', 'folder', 'kind')
local m, f = h[1], h[2]
if h[3] ~= 'copy' then return redis.error_reply('ILLEGAL widen of ' .. u) end
if writers == 0 then redis.call('HSET', folder_key(f), 'alone', '1') end
if redis.call('HEXISTS', folder_key(f), 'alone') == 1 then writers = 1 end
set_writers(f, writers)
fill_heads(f, heads_of(f))
fold_heads(f)
refresh(m)
return writers
