-- in_doubt(mailbox): 1 when something was sent to its destination of which nobody knows whether it stands there: an intent is open.
for _, u in ipairs(redis.call('SMEMBERS', mailbox_key(ARGV[1]) .. ':open')) do
  if redis.call('EXISTS', unit_key(u) .. ':intents') == 1 then return 1 end
end
return 0
