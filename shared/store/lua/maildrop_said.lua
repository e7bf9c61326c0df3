-- maildrop_said(mailbox, generation, offset, bytes, ...): keeps what was read of messages of a POP3 maildrop, 8 bytes each, from that
-- byte on; several runs. Nothing when that generation is over.
local key = mailbox_key(ARGV[1]) .. ':maildrop'
if (redis.call('HGET', key, 'generation') or '1') == ARGV[2] then
  for n = 3, #ARGV, 2 do redis.call('SETRANGE', key .. ':said', ARGV[n], ARGV[n + 1]) end
end
return 1
