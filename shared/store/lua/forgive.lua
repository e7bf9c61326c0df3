-- forgive(import_id, mailbox_id or ''): the import's shared logins may be tried again, and no refusal so far counts towards stopping
-- the others; or this mailbox's own logins.
local i, m = ARGV[1], ARGV[2]
if m == '' then
  redis.call('HDEL', import_key(i), 'login:source', 'login:destination')
  lift_brake(i)
else
  redis.call('HDEL', mailbox_key(m), 'login:source', 'login:destination')
  for _, side in ipairs({'source', 'destination'}) do
    local key, _, ours = brake_place(i, m, side)
    redis.call('HDEL', key, ours)
  end
end
return 1
