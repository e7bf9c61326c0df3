-- leave(holder, mailbox): the holder closed its connections to this mailbox's accounts.
for _, permits in ipairs(permits_of(ARGV[2])) do redis.call('ZREM', permits, ARGV[1]) end
return 'OK'
