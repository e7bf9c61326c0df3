-- stranded(import_id, lease_ms, silent_ms): what of this import waits for a lease whose worker was not heard of for
-- `silent_ms`: [units, messages of their folders without an outcome, ms until the last of these leases has run out].
-- Who has just claimed was heard of then, although `attend` did not come yet.
local now, lease_ms = clock(), tonumber(ARGV[2])
local units, messages, left, folders = 0, 0, 0, {}
local leases = redis.call('ZRANGE', P .. 'leases', 0, -1, 'WITHSCORES')
for n = 1, #leases, 2 do
  local h = redis.call('HMGET', unit_key(leases[n]), 'mailbox', 'folder', 'holder')
  if h[1] and redis.call('HGET', mailbox_key(h[1]), 'import') == ARGV[1] then
    local expiry = tonumber(leases[n + 1])
    local heard = math.max(expiry - lease_ms, tonumber(redis.call('ZSCORE', P .. 'workers', process_of(h[3])) or '0'))
    if heard <= now - tonumber(ARGV[3]) then
      units = units + 1
      left = math.max(left, expiry - now)
      -- What stands behind its batches waits with them; a folder that several lanes write counts once.
      if not folders[h[2]] then messages = messages + pending_of(h[2]) end
      folders[h[2]] = true
    end
  end
end
return {units, messages, left}
