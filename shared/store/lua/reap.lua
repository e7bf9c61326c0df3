-- reap(grace_ms): takes units back whose lease ran out; the new term refuses whatever the old holder still sends.
-- The grace gives a worker that lost its lease time to shut its sockets.
local now = clock()
local taken = {}
for _, u in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, 200)) do
  if take_back(u) then taken[#taken + 1] = u end
end
-- Counts that a version left which does not keep them.
if redis.call('EXISTS', P .. 'leases') == 0 then redis.call('DEL', P .. 'lanes_of') end
for _, u in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', P .. 'delayed', u)
  if redis.call('HGET', unit_key(u), 'state') == 'delayed' then make_ready(u) end
end
-- Parked until there is room. What a person paused, or nobody can sign in to, is looked at again in a minute; its failure
-- stays, so that the next wait is longer.
for _, m in ipairs(redis.call('ZRANGEBYSCORE', P .. 'again', '-inf', now, 'LIMIT', 0, 200)) do
  if may_go_on(m) then
    go_on(m)
  else
    set_again(m, 60000)
  end
end
-- So many looks in all: after an outage those of every import are due. The next call begins with the import behind the last one.
local left, standing = 200, redis.call('SMEMBERS', P .. 'standing')
table.sort(standing)
local last, first = redis.call('HGET', P .. 'looks', 'begun') or '', 0
for n, i in ipairs(standing) do
  if i <= last then first = n end
end
for n = 1, #standing do
  if left <= 0 then break end
  local i = standing[(first + n - 1) % #standing + 1]
  local due = redis.call('ZRANGEBYSCORE', import_key(i) .. ':looks', '-inf', now, 'LIMIT', 0, left)
  for _, m in ipairs(due) do begin_look(m) end
  left = left - #due
  if left <= 0 then redis.call('HSET', P .. 'looks', 'begun', i) end
end
for _, destination in ipairs(redis.call('ZRANGEBYSCORE', P .. 'parting', '-inf', now, 'LIMIT', 0, 500)) do
  free_destination(destination)
end
if redis.call('EXISTS', P .. 'routes') == 1 then adopt_queues() end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. 'holds', '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('ZREM', P .. 'holds', name)
  redis.call('HDEL', P .. 'whys', name)
end
redis.call('ZREMRANGEBYSCORE', P .. 'look_holds', '-inf', now)
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', now - 86400000)
return taken
