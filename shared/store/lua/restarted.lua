-- restarted(): notes whether the server was started again, or another has taken its place: which it is (INFO) is not what was
-- noted last. It may have lost the last second of its file, or what its master had not sent. Every connection calls this before
-- anything else (redis_scripts.py): nobody is given work before it is noted. Repeated, it changes nothing.
-- Returns the name of the server's present life, by which `submit` sees that what was written before may be lost (submit.lua).
-- Leases up to this term close no unit (finish.lua), and mail that arrived since a mailbox was planned may be its own (claim.lua).
local function said(section, field)
  return string.match(redis.call('INFO', section), field .. ':(%w+)') or ''
end
-- A replica that became the master has a run_id of its own; one that was the master before, another master_replid.
local run, history = said('server', 'run_id'), said('replication', 'master_replid')
local known, terms = redis.call('HMGET', P .. 'restarted', 'run_id', 'master_replid'), redis.call('GET', P .. 'terms')
if known[1] == run and known[2] == history then return life() end
redis.call('HSET', P .. 'restarted', 'run_id', run, 'master_replid', history)
-- An empty store has nothing to lose.
if terms then redis.call('HSET', P .. 'restarted', 'term', terms, 'at', string.format('%.0f', clock())) end
return life()
