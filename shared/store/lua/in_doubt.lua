-- in_doubt(mailbox): returns 1 when an intent is open: something was sent, and may stand at the destination or not.
for _, u in ipairs(redis.call('SMEMBERS', mailbox_key(ARGV[1]) .. ':open')) do
  if redis.call('EXISTS', unit_key(u) .. ':intents') == 1 then return 1 end
end
return 0
