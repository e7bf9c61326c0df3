-- mark(mailbox, marks): keeps the numbers of its destination folders just before it was switched; nothing for one that was erased.
-- Returns 1 when there is such a mailbox.
if redis.call('EXISTS', mailbox_key(ARGV[1])) == 0 then return 0 end
redis.call('SET', mailbox_key(ARGV[1]) .. ':marks', ARGV[2])
return 1
