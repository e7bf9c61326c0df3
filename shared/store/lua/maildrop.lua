-- maildrop(mailbox, generation, sha1, generation', identities'): other identities of a POP3 maildrop, when it still stands as the
-- caller saw it: `generation`, and identities of that SHA-1. With another generation, what was said of the messages is gone.
-- Returns generation and identities as they are then.
local key = mailbox_key(ARGV[1]) .. ':maildrop'
local h = redis.call('HMGET', key, 'generation', 'identities')
local generation, identities = tonumber(h[1] or '1'), h[2] or ''
if generation == tonumber(ARGV[2]) and redis.sha1hex(identities) == ARGV[3] then
  if generation ~= tonumber(ARGV[4]) then redis.call('DEL', key .. ':said') end
  generation, identities = tonumber(ARGV[4]), ARGV[5]
  redis.call('HSET', key, 'generation', generation, 'identities', identities)
end
return {generation, identities}
