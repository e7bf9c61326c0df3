-- account(unit, term, holder, state): what is known of the mailbox's account at the destination, and since when.
-- The same again keeps the time.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local m = mailbox_key(redis.call('HGET', unit_key(u), 'mailbox'))
if redis.call('HGET', m, 'account') ~= ARGV[4] then
  redis.call('HSET', m, 'account', ARGV[4], 'account_at', string.format('%.0f', clock()))
end
return 'OK'
