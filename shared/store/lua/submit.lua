-- submit(import_id, since, piece): the whole request is written; from here on it runs. Order matters: rows first, then this.
-- `since`: the life in which the first row was written. In another one some rows may be lost, and nothing runs; '' for any life.
-- Its mailboxes come into their queues in pieces (_sweeps.lua), and each may be claimed as it comes: all that a worker needs is there.
-- Repeated, it changes nothing, even when a person paused the import or it came to its end in between. Returns {1, whether mailboxes
-- are left to sweep}.
local i, piece = ARGV[1], tonumber(ARGV[3])
if ARGV[2] ~= '' and ARGV[2] ~= life() then return redis.error_reply('REBORN ' .. i) end
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
local key = import_key(i)
local state = redis.call('HGET', key, 'state')
local after = advance('import', state, 'submitted')
if not after then return redis.error_reply('ILLEGAL import ' .. tostring(state)) end
if state ~= 'opening' then return {1, 0} end
-- Whoever opens an import that is under way joins its pass.
if redis.call('HDEL', key, 'fresh') == 1 then
  redis.call('HINCRBY', key, 'passes', 1)
  redis.call('HDEL', key, 'first_claim_at', 'last_record_at')
end
redis.call('HSET', key, 'state', after, 'finished_at', 0, 'control', 'run')
redis.call('HDEL', key, 'archived_at')
begin_sweep(i, 'refresh', '')
return {1, sweep_on(i, piece)}
