-- open(import_id, fields_json, rows_json): writes an import and some of its mailboxes; safe to repeat, in pieces.
-- Nothing new is served before `submit`. A mailbox that is settled is queued again (a delta pass); one that is under way is left alone.
-- rows: [{id, row, source_login, destination_login, route, source_account, source_host, destination_account, destination_host, profile}]
local i, fields, rows = ARGV[1], cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local key = import_key(i)
local queued = 0
if redis.call('EXISTS', key) == 0 then
  redis.call('HSET', key, 'state', 'opening', 'control', 'run', 'created_at', clock(), 'passes', 0, 'mailboxes', 0)
  redis.call('ZADD', P .. 'imports', clock(), i)
else
  local state = redis.call('HGET', key, 'state')
  redis.call('HSET', key, 'state', advance('import', state, 'again'))
end
for name, value in pairs(fields) do redis.call('HSET', key, name, value) end
redis.call('PERSIST', key .. ':credentials')
for _, r in ipairs(rows) do
  local m = mailbox_key(r.id)
  if redis.call('EXISTS', m) == 0 then
    redis.call('HSET', m, 'import', i, 'state', 'queued', 'control', 'run', 'pass', 0)
    redis.call('ZADD', key .. ':mailboxes', r.row, r.id)
    redis.call('HINCRBY', key, 'mailboxes', 1)
    redis.call('HINCRBY', key, 's:queued', 1)
    queued = queued + 1
  else
    redis.call('ZADD', key .. ':mailboxes', r.row, r.id)
    if move_mailbox(r.id, 'again') then
      queued = queued + 1
      redis.call('HSET', m, 'control', 'run')
    end
  end
  redis.call('HDEL', m, 'failure')
  redis.call('HSET', m, 'row', r.row, 'source_login', r.source_login, 'destination_login', r.destination_login,
    'route', r.route, 'source_account', r.source_account, 'source_host', r.source_host,
    'destination_account', r.destination_account, 'destination_host', r.destination_host)
  if r.profile ~= '' then redis.call('HSET', m, 'profile', r.profile) else redis.call('HDEL', m, 'profile') end
  if redis.call('HGET', m, 'state') == 'queued' then plan_unit(r.id) end
end
return queued
