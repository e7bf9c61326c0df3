-- forget(import_id, mailbox_id or '', piece, old, new, old, new, …): what servers said when they were signed in to. Each text `old` of a
-- failure of the mailbox becomes `new`. With '' it is the import's: its credentials, its tokens, words about its shared logins and about
-- servers that are left alone. Returns {1 when there were credentials, whether mailboxes are left to sweep}.
local i, m = ARGV[1], ARGV[2]
if m == '' then
  local key = import_key(i)
  if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
  redis.call('HDEL', key, 'login:source', 'login:destination')
  local whys = redis.call('HGETALL', P .. 'whys')
  for n = 1, #whys, 2 do
    if string.sub(whys[n + 1], 1, #i + 1) == i .. ':' then redis.call('HSET', P .. 'whys', whys[n], i .. ':') end
  end
  set_standing(i, '', 'off')
  redis.call('DEL', key .. ':tokens')
  local had = redis.call('DEL', key .. ':credentials')
  if redis.call('EXISTS', key) == 0 then return {had, 0} end
  begin_sweep(i, 'look', '')
  return {had, sweep_on(i, tonumber(ARGV[3]))}
end
local key = mailbox_key(m)
if redis.call('HGET', key, 'import') ~= i then return {0, 0} end
redis.call('HDEL', key, 'login:source', 'login:destination')
for n = 4, #ARGV, 2 do
  if redis.call('HGET', key, 'failure') == ARGV[n] then redis.call('HSET', key, 'failure', ARGV[n + 1]) end
  for at, text in ipairs(redis.call('LRANGE', key .. ':failures', 0, -1)) do
    if text == ARGV[n] then redis.call('LSET', key .. ':failures', at - 1, ARGV[n + 1]) end
  end
end
return {0, 0}
