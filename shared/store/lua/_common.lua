-- Put before every script. Above it stand P (the key prefix) and MACHINES (the tables of shared.model.lifecycle).
-- Keys: see shared/store/redis/keys.py, the legend of every key, its type and its meaning.
-- The code of a failure, in its JSON.
local CODE = '"code": "([%w_]+)"'
-- How long a destination is kept for what a settled mailbox may still have on the wire: above the settle time.
local PARTING_MS = 60000
-- A mailbox that was moved is urgent at most so long; how long it waits for a free lane before one gives way, and how long until
-- the next does.
local URGENT_MS, GIVE_WAY_MS, NEXT_GIVES_WAY_MS, GIVES_WAY_NO_MORE_MS = 60000, 500, 3000, 10000
-- How long an import has fewer lanes than its share before another's gives way, how long until the next does, how much longer until
-- that was in vain, and how long none does then.
local STARVES_MS, NEXT_STARVED_MS, HELPS_MS, IN_VAIN_MS = 5000, 2000, 20000, 60000
-- The order of a verification, behind all batches; the part of an order that is the age band; how many there may be.
local LAST, BAND, BANDS = 9e15, 1e11, 10
local SETTLED = {complete = true, parked = true, cancelled = true}
-- The place of complete mailboxes whose look is due, scored by since when: behind all lines. One that has been due for so long
-- goes before them, if no other such look is at work.
local LOOKS, LATE_MS, NEXT_LATE_MS = '\0looks', 30000, 500

-- Milliseconds by the server's clock: clients' clocks are never compared.
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- The name of the server's life since it was last started, or took another's place.
local function life()
  local h = redis.call('HMGET', P .. 'restarted', 'run_id', 'master_replid', 'at')
  return (h[1] or '') .. '/' .. (h[2] or '') .. '/' .. (h[3] or '')
end

local function advance(machine, state, event)
  local edges = MACHINES[machine][event]
  return edges and edges[state]
end

local function import_key(i) return P .. 'import:' .. i end
local function mailbox_key(m) return P .. 'mailbox:' .. m end
local function folder_key(f) return P .. 'folder:' .. f end
local function unit_key(u) return P .. 'unit:' .. u end
local function wave_key(i, wave) return import_key(i) .. ':wave:' .. wave end
local function members_key(i, wave) return import_key(i) .. ':of:' .. wave end

-- Adds to a counter of the folder, its mailbox and its import together, so that sums agree at every moment. What comes to an
-- outcome is counted once more where nothing is ever taken off, so that a run can be told by what it did.
local function count(folder, mailbox, import, field, n)
  if n == 0 then return end
  if folder ~= '' then redis.call('HINCRBY', folder_key(folder), field, n) end
  local now = redis.call('HINCRBY', mailbox_key(mailbox), field, n)
  local code = TROUBLE_OF[field]
  if code and now > 0 then
    redis.call('ZADD', import_key(import) .. ':code:' .. code, redis.call('HGET', mailbox_key(mailbox), 'row') or 0, mailbox)
  elseif code then
    redis.call('ZREM', import_key(import) .. ':code:' .. code, mailbox)
  end
  redis.call('HINCRBY', import_key(import), field, n)
  if n > 0 and (string.sub(field, 1, 2) == 'o:' or field == 'done_bytes') then
    redis.call('HINCRBY', import_key(import), 'ever:' .. field, n)
  end
end
