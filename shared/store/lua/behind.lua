-- behind(import_id, start, count): why some of the import's mailboxes wait whose destination another has: how many were read, then four
-- values for each cause: what, whom they wait for in words, mailboxes, the destination's login of the first. A read of few at a time.
local page = redis.call('ZRANGE', import_key(ARGV[1]) .. ':behind', tonumber(ARGV[2]), tonumber(ARGV[2]) + tonumber(ARGV[3]) - 1)
local found, places = {#page}, {}
for _, m in ipairs(page) do
  local b = redis.call('HMGET', mailbox_key(m), 'behind', 'destination_key', 'destination_login')
  local holder = redis.call('HGET', P .. 'destinations', b[2] or '')
  local word, whom = holder and wish(holder) == 'pause' and 'destination_paused' or 'destination', b[1] or ''
  local at = places[word .. ':' .. whom]
  if at then
    found[at] = found[at] + 1
  else
    for _, value in ipairs({word, whom, 1, b[3] or ''}) do found[#found + 1] = value end
    places[word .. ':' .. whom] = #found - 1
  end
end
return found
