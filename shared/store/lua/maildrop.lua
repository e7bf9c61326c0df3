-- maildrop(mailbox, generation, bytes, digests, renew): numbers new identities of a POP3 maildrop, behind those that are there, or
-- with renew = '1' as the next generation. Only when it still stands as the caller saw it: `bytes` of `generation`.
-- Returns generation and identities as they are then.
local key = mailbox_key(ARGV[1]) .. ':maildrop'
local h = redis.call('HMGET', key, 'generation', 'identities')
local generation, identities = tonumber(h[1] or '1'), h[2] or ''
if generation == tonumber(ARGV[2]) and #identities == tonumber(ARGV[3]) then
  if ARGV[5] == '1' then
    generation, identities = generation + 1, ARGV[4]
  else
    identities = identities .. ARGV[4]
  end
  redis.call('HSET', key, 'generation', generation, 'identities', identities)
end
return {generation, identities}
