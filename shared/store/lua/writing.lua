-- writing(unit, term, holder): what the ledger of the unit's folder has taken, and the open intents of the folder's other batches:
-- {ranges, intents of lanes at work, intents that earlier holders left}. All at one moment.
local u, term, holder = ARGV[1], ARGV[2], ARGV[3]
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local f = redis.call('HGET', unit_key(u), 'folder')
local live, left = {}, {}
for _, other in ipairs(batches_of(f)) do
  if other ~= u then
    local theirs, earlier = intents_of(other)
    for _, text in ipairs(theirs) do live[#live + 1] = text end
    for _, text in ipairs(earlier) do left[#left + 1] = text end
  end
end
return {redis.call('ZRANGE', folder_key(f) .. ':taken', 0, -1), live, left}
