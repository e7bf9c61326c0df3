-- stand(mailbox_id, keep_ms, bucket, field, place, ...): copies of these messages stand there now; '' when none was brought.
local key = mailbox_key(ARGV[1]) .. ':shared:'
for i = 3, #ARGV, 3 do
  if ARGV[i + 2] == '' then
    redis.call('HDEL', key .. ARGV[i], ARGV[i + 1])
  else
    redis.call('HSET', key .. ARGV[i], ARGV[i + 1], 's' .. ARGV[i + 2])
    redis.call('PEXPIRE', key .. ARGV[i], ARGV[2])
  end
end
return 'OK'
