-- submit(import_id, since): the whole request is written; from here on it runs. Order matters: rows first, then this.
-- `since`: the life in which the first row was written. In another one some rows may be lost, and nothing runs; '' for any life.
-- Repeated, it changes nothing, even when a person paused the import or it came to its end in between.
if ARGV[2] ~= '' and ARGV[2] ~= life() then return redis.error_reply('REBORN ' .. ARGV[1]) end
local key = import_key(ARGV[1])
local state = redis.call('HGET', key, 'state')
local after = advance('import', state, 'submitted')
if not after then return redis.error_reply('ILLEGAL import ' .. tostring(state)) end
if state ~= 'opening' then return after end
-- Whoever opens an import that is under way joins its pass.
if redis.call('HDEL', key, 'fresh') == 1 then
  redis.call('HINCRBY', key, 'passes', 1)
  redis.call('HDEL', key, 'first_claim_at', 'last_record_at')
end
redis.call('HSET', key, 'state', after, 'finished_at', 0, 'control', 'run')
redis.call('HDEL', key, 'archived_at')
for _, m in ipairs(redis.call('ZRANGE', key .. ':mailboxes', 0, -1)) do refresh(m) end
settle_import(ARGV[1])
return after
