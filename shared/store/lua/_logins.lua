-- Put before the scripts that let a worker sign in: what is known of a login, and the brake of a server that lets nobody in.

-- What is known of a login: state (u: nothing, t: somebody tries it, p: it let somebody in, d: it did, and was refused
-- since, r: refused), refusals since it last let in, until when the trial of `holder` counts, what the server said.
local function login_place(import, mailbox, side, shared)
  return shared == '1' and import_key(import) or mailbox_key(mailbox), 'login:' .. side
end

local function login_record(key, field, digest)
  local text = redis.call('HGET', key, field)
  if text then
    local known, state, n, till, holder, words = string.match(text, '^([^:]*):(%a):(%d+):(%d+):([^:]*):(.*)$')
    if known == digest then
      return {state = state, count = tonumber(n), till = tonumber(till), holder = holder, words = words}
    end
  end
  return {state = 'u', count = 0, till = 0, holder = '', words = ''}
end

local function write_login(key, field, digest, login)
  if redis.call('EXISTS', key) == 0 then return end
  redis.call('HSET', key, field, string.format('%s:%s:%d:%.0f:%s:%s', digest, login.state, login.count, login.till,
    login.holder, login.words))
end

-- Lanes beside the one that asks that have a connection to the mailbox's account.
local function other_permits(mailbox, side)
  local scope = side .. '_account'
  local name = redis.call('HGET', mailbox_key(mailbox), scope)
  if not name then return 0 end
  return math.max(0, redis.call('ZCOUNT', P .. 'permits:' .. scope .. ':' .. name, '(' .. clock(), '+inf') - 1)
end

-- A mailbox that was parked goes on by itself.
local function go_on(m)
  local i = redis.call('HGET', mailbox_key(m), 'import')
  move_mailbox(m, 'again')
  plan_unit(m)
  reopen_import(i)
  refresh(m)
end

-- Whether anybody still wants a parked mailbox to go on, and its passwords are there.
local function may_go_on(m)
  local i = redis.call('HGET', mailbox_key(m), 'import')
  local wanted = redis.call('HGET', import_key(i), 'control') == 'run' and redis.call('HGET', mailbox_key(m), 'control') == 'run'
  return wanted and redis.call('EXISTS', import_key(i) .. ':credentials') == 1
end

-- The brake of one server, in import:I:brake: (key, server, field of this mailbox's login there).
local function brake_place(import, mailbox, side)
  local h = redis.call('HMGET', mailbox_key(mailbox), side .. '_account', 'source')
  local server = side .. ':' .. (side == 'source' and h[2] or '')
  return import_key(import) .. ':brake', server, server .. '\0' .. (h[1] or '')
end

-- Whether one login more may be tried at a server that let nobody in so far: 'go', 'stopped', or ms to wait.
local function brake_turn(import, mailbox, side, till, first)
  local key, server, ours = brake_place(import, mailbox, side)
  local state = redis.call('HGET', key, server)
  if state == 'in' or redis.call('EXISTS', import_key(import)) == 0 then return 'go' end
  local now, refused, trying, wait = clock(), 0, 0, 0
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    if all[n] ~= ours and string.sub(all[n], 1, #server + 1) == server .. '\0' then
      if all[n + 1] == 'r' then
        refused = refused + 1
      elseif tonumber(all[n + 1]) > now then
        trying, wait = trying + 1, math.max(wait, tonumber(all[n + 1]) - now)
      end
    end
  end
  if refused >= first then return 'stopped' end
  if state ~= 'loose' and refused + trying >= first then return wait end
  redis.call('HSET', key, ours, string.format('%.0f', till))
  return 'go'
end

-- How a try ended there. 'in' releases the brake for good, and what it stopped goes on.
local function brake_told(import, mailbox, side, result)
  local key, server, ours = brake_place(import, mailbox, side)
  local state = redis.call('HGET', key, server)
  if state == 'in' or redis.call('EXISTS', import_key(import)) == 0 then return end
  if result == 'refused' then
    redis.call('HSET', key, ours, 'r')
    return
  end
  redis.call('HDEL', key, ours)
  redis.call('HSET', key, server, result == 'in' and 'in' or 'loose')
  if result ~= 'in' then return end
  local all = redis.call('HKEYS', key)
  for n = 1, #all do
    if string.sub(all[n], 1, #server + 1) == server .. '\0' then redis.call('HDEL', key, all[n]) end
  end
  for n, m in ipairs(redis.call('ZRANGE', import_key(import) .. ':code:' .. side .. '_logins_stopped', 0, -1)) do
    local _, theirs = brake_place(import, m, side)
    if theirs == server and redis.call('HGET', mailbox_key(m), 'state') == 'parked' then
      if n <= 200 and may_go_on(m) then
        set_failure(m, '')
        go_on(m)
      else
        set_again(m, 1)
      end
    end
  end
end

-- A person acted: refusals so far count no more. That somebody was let in is remembered.
local function lift_brake(import)
  local key = import_key(import) .. ':brake'
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    if all[n + 1] ~= 'in' then redis.call('HDEL', key, all[n]) end
  end
end
