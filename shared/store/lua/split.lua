-- split(unit, term, holder, halves_json): replaces a batch that killed its workers by smaller ones over what it has not
-- done. What it has done stays in the ledger under its name, and the intents that were left go on with their messages. halves: [{id, uids, size, messages, attempts, intents}]
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local h = redis.call('HMGET', unit_key(u), 'mailbox', 'folder', 'order', 'messages', 'done', 'ended')
local m, f = h[1], h[2]
local halves = cjson.decode(ARGV[4])
local messages = tonumber(h[5])
for _, b in ipairs(halves) do messages = messages + b.messages end
if messages ~= tonumber(h[4]) then return redis.error_reply('OPEN halves do not hold what is left of ' .. u) end
drop_unit(m, u)
for n = #halves, 1, -1 do
  local b = halves[n]
  new_unit(b.id, 'copy', m, f, b.uids, b.size, b.messages, h[3], 'waiting', b.attempts)
  if h[6] then redis.call('HSET', unit_key(b.id), 'ended', h[6]) end
  for _, intent in ipairs(b.intents) do redis.call('HSET', unit_key(b.id) .. ':intents', intent.id, cjson.encode(intent)) end
  redis.call('LPUSH', folder_key(f) .. ':waiting', b.id)
end
next_batch(f, u)
drain(m)
refresh(m)
return 'OK'
