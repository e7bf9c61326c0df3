-- looked(unit, term, holder, found, claimed_ms): ends a look. found = '1': a pass is to follow, else the mailbox is as it was at
-- `claimed_ms`, and is looked at again later. Where the mailbox stands no longer, and a sweep has not come to it yet, no pass follows
-- either, and what was found is left for the next pass that a person asks for. Returns 1.
local u, term, holder, claimed = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[5])
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local m, now = redis.call('HGET', unit_key(u), 'mailbox'), clock()
local key = mailbox_key(m)
local i = redis.call('HGET', key, 'import')
redis.call('HINCRBY', import_key(i), 'looks', 1)
put_off_late(now, claimed)
set_failure(m, '')
local stands = standing_of(i, redis.call('HGET', key, 'wave'))
if ARGV[4] == '1' and stands then
  redis.call('HINCRBY', import_key(i), 'looks_found', 1)
  move_mailbox(m, 'again')
  redis.call('HSET', key, 'after_look', 1)
  plan_unit(m)
  reopen_import(i)
else
  if ARGV[4] ~= '1' then redis.call('HSET', key, 'looked_at', string.format('%.0f', now), 'synced_at', ARGV[5]) end
  end_look(m)
  plan_look(m)
end
refresh(m)
return 1
