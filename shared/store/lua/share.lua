-- share(mailbox_id, holder, stale_s, keep_ms, bucket, field, ...): messages that several folders show (X-GM-MSGID, in two parts). For
-- each: where a copy stands at the destination, '?' while another batch brings it, or '' when it is the holder's to bring.
local every, now, out = mailbox_key(ARGV[1]) .. ':shared', math.floor(clock() / 1000), {}
local key = every .. ':'
for i = 5, #ARGV, 2 do
  local bucket, found = key .. ARGV[i], redis.call('HGET', key .. ARGV[i], ARGV[i + 1])
  local holder, since = string.match(found or '', '^r(%x+):(%d+)$')
  if found and string.sub(found, 1, 1) == 's' then
    out[#out + 1] = string.sub(found, 2)
  elseif holder and holder ~= ARGV[2] and tonumber(since) + tonumber(ARGV[3]) > now then
    out[#out + 1] = '?'
  else
    redis.call('HSET', bucket, ARGV[i + 1], 'r' .. ARGV[2] .. ':' .. string.format('%.0f', now))
    redis.call('PEXPIRE', bucket, ARGV[4])
    if redis.call('SADD', every, ARGV[i]) == 1 then redis.call('PEXPIRE', every, ARGV[4]) end
    out[#out + 1] = ''
  end
end
return out
