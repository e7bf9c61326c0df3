-- release(unit, term, holder, how, delay_ms, failure_json, hold, hold_ms, again_ms, claimed_ms, crowded, start, most)
-- Gives a unit back. how: 'again' (the attempt counts), 'wait' (it does not: throttled, paused, shut down),
-- 'doubt' (the same: what was sent before may still arrive at the destination, which is told as a wait),
-- 'late' (as 'doubt', and nothing is written until then: another mailbox may have the destination meanwhile),
-- 'park' (the mailbox stops until a person acts), 'replan' (the mailbox is to be planned anew; a plan that waits for its time
-- still does).
-- hold: "scope:key" that nobody may claim for hold_ms, or ''; it never shortens one that is there. "looks:key", of a look: no
-- other look at this source host is begun meanwhile; all other work goes on.
-- crowded = '1': the server refused the lane's connection, since there are too many. Where others have one, it is no failure and no
-- hold: fewer lanes are let in from now on, and the unit is claimed again soon.
-- start, most: as for hold, of its scope.
-- again_ms: what is parked is tried again by itself after them; 0: not before a person acts.
-- A look that comes to nothing ends as one that ends well (`looked`): it leaves the next half of the time to other work, and
-- goes behind the looks that are due by when it may be tried again.
local u, term, holder, how, delay = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if not fence(u, term, holder) then return redis.error_reply('FENCED ' .. u) end
local h = redis.call('HMGET', unit_key(u), 'mailbox', 'kind', 'folder')
local m, kind = h[1], h[2]
local key = mailbox_key(m)
local now = clock()
note_end(u)
unlease(u, holder)
if how ~= 'again' then forgive(u) end
local failure, hold = ARGV[6], ARGV[7]
if ARGV[11] == '1' and hold ~= '' then
  for _, permits in ipairs(permits_of(m)) do redis.call('ZREM', permits, holder) end
  local others = lanes_at(hold, now)
  if others > 0 then
    narrow_lanes(hold, others, 'refused', now)
    failure, hold, delay = '', '', math.min(delay, CROWDED_MS)
  end
end
if failure ~= '' then
  set_failure(m, failure)
  redis.call('LPUSH', key .. ':failures', failure)
  redis.call('LTRIM', key .. ':failures', 0, 49)
end
local rests = kind == 'look' and string.match(hold, '^looks:(.*)$')
if rests then
  local till = now + tonumber(ARGV[8])
  if tonumber(redis.call('ZSCORE', P .. 'look_holds', rests) or '0') < till then redis.call('ZADD', P .. 'look_holds', till, rests) end
elseif hold ~= '' then
  local f = failure ~= '' and cjson.decode(failure) or {}
  set_hold(hold, tonumber(ARGV[8]), redis.call('HGET', key, 'import'), f.detail ~= '' and f.detail or f.sentence or '',
    ARGV[12], ARGV[13])
end
if kind == 'look' then
  put_off_late(now, tonumber(ARGV[10]))
  if delay > 0 then redis.call('HSET', key, 'look_again', string.format('%.0f', now + delay)) end
end
if delay > 0 then
  redis.call('HSET', unit_key(u), 'state', 'delayed', 'holder', '')
  redis.call('ZADD', P .. 'delayed', now + delay, u)
else
  make_ready(u)
end
if kind == 'copy' then fold_heads(h[3]) end
if how == 'doubt' or how == 'late' then
  redis.call('ZADD', import_key(redis.call('HGET', key, 'import')) .. ':settling', now + delay, m)
end
if how == 'late' then
  leave_destination(m)
elseif how == 'park' then
  move_mailbox(m, 'park')
  local side = string.match(failure, '"code": ?"(%a+)_logins_stopped"')
  local released = false
  if side then
    local place, server = brake_place(redis.call('HGET', key, 'import'), m, side)
    released = redis.call('HGET', place, server) == 'in'
  end
  set_again(m, released and 1 or tonumber(ARGV[9]))
  settle_import(redis.call('HGET', key, 'import'))
elseif how == 'replan' and move_mailbox(m, 'replan') and kind ~= 'plan'
  and redis.call('HGET', unit_key(m .. '.plan'), 'state') ~= 'delayed' then
  plan_unit(m)
end
refresh(m)
return 'OK'
