-- attend(worker, lease_ms, extend, unit, term, holder, unit, term, holder, …): one call a second for all leases of a
-- process. With extend = '1' leases and permits are renewed by the server's clock. Returns a word for each:
-- run, pause, cancel, or lost.
local now, lease_ms = clock(), tonumber(ARGV[2])
redis.call('ZADD', P .. 'workers', now, ARGV[1])
local words = {}
for n = 4, #ARGV, 3 do
  local u = ARGV[n]
  if fence(u, ARGV[n + 1], ARGV[n + 2]) then
    local m = redis.call('HGET', unit_key(u), 'mailbox')
    if ARGV[3] == '1' then
      redis.call('ZADD', P .. 'leases', now + lease_ms, u)
      for _, permits in ipairs(permits_of(m)) do redis.call('ZADD', permits, now + lease_ms, ARGV[n + 2]) end
    end
    words[#words + 1] = wish(m)
  else
    words[#words + 1] = 'lost'
  end
end
return words
