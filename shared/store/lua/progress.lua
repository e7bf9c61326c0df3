-- progress(unit, term, holder, settled_json, intents_json, withdrawn_json, doubts, rates): settles groups, withdraws intents,
-- writes new intents, in this order and in one round trip. Fenced. Returns what a person wants: run, pause or cancel; with
-- pause or cancel no new intent was written, so nothing may be appended. What new intents move is charged to the rates of
-- the mailbox's accounts and hosts (`rates`: those of the settings); a debt is returned behind the word.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local h = redis.call('HMGET', unit_key(u), 'mailbox', 'folder')
local mailbox, folder = h[1], h[2]
if folder == '' then return redis.error_reply('ILLEGAL progress of ' .. u) end
local import = redis.call('HGET', mailbox_key(mailbox), 'import')
local intents = unit_key(u) .. ':intents'

-- Everything that can be refused is looked at before anything is written.
local new, conflict = new_of(u, folder, cjson.decode(ARGV[4]), false)
if conflict then return redis.error_reply('TAKEN ' .. conflict) end
local wanted = cjson.decode(ARGV[5])
for _, intent in ipairs(wanted) do
  local old = redis.call('HGET', intents, intent.id)
  if old and cjson.decode(old).uids ~= intent.uids then
    return redis.error_reply('ILLEGAL intent ' .. intent.id .. ' of ' .. u .. ' stands for other messages')
  end
end

if #new > 0 then
  get_on(mailbox)
  -- Under which terms it was written: a plan with an older one may have listed the folder before.
  redis.call('HSET', folder_key(folder), 'written', redis.call('GET', P .. 'terms'))
end
for _, s in ipairs(new) do settle(u, folder, mailbox, import, s) end
if ARGV[7] ~= '' then
  local old = redis.call('HGET', folder_key(folder), 'doubts')
  if not (old and string.find(',' .. old .. ',', ',' .. ARGV[7] .. ',', 1, true)) then
    redis.call('HSET', folder_key(folder), 'doubts', (old and old .. ',' or '') .. ARGV[7])
  end
  redis.call('HSET', folder_key(folder), 'doubted_at', clock())
end
for _, id in ipairs(cjson.decode(ARGV[6])) do redis.call('HDEL', intents, id) end
local word = wish(mailbox, u)
if word ~= 'run' then return word end
-- An empty folder may have got another UIDVALIDITY since it was planned: it is the one that is written to that counts.
if wanted[1] then redis.call('HSET', folder_key(folder), 'destination_uidvalidity', wanted[1].uidvalidity) end
local at = clock()
local capping, bytes, messages = capped(ARGV[8]), 0, 0
for _, intent in ipairs(wanted) do
  intent.at = at
  -- Charged once, however often the call is repeated.
  if redis.call('HSETNX', intents, intent.id, cjson.encode(intent)) == 1 and capping then
    bytes = bytes + (intent.size or 0)
    each_range(intent.uids, function(low, high) messages = messages + high - low + 1 end)
  end
end
if not capping then return 'run' end
local longest = {0}
local scopes = {'source_account', 'source_host', 'destination_account', 'destination_host'}
for n, key in ipairs(redis.call('HMGET', mailbox_key(mailbox), unpack(scopes))) do
  local due = owed(scopes[n], key, ARGV[8], at, bytes, messages)
  if due[1] > longest[1] then longest = due end
  if due[1] > PATIENCE_MS then redis.call('ZADD', P .. 'owing', at + math.ceil(due[1]), scopes[n] .. ':' .. key) end
end
if longest[1] <= 0 then return 'run' end
return {'run', told_due(longest, at)}
