-- bury(process, process, …): these processes are dead for certain, so nobody waits for what they held: their lanes' leases
-- and connections are void at once, and so is their leadership. Returns the units that went back.
local dead, taken = {}, {}
for _, process in ipairs(ARGV) do
  dead[process] = true
  redis.call('ZREM', P .. 'workers', process)
end
for _, u in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
  local h = redis.call('HMGET', unit_key(u), 'holder', 'mailbox')
  if h[1] and dead[process_of(h[1])] then
    for _, permits in ipairs(permits_of(h[2])) do redis.call('ZREM', permits, h[1]) end
    if take_back(u) then taken[#taken + 1] = u end
  end
end
for _, post in ipairs({'leader', 'sender'}) do
  if dead[redis.call('HGET', P .. post, 'holder') or ''] then redis.call('DEL', P .. post) end
end
return taken
