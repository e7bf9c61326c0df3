-- login_turn(import_id, mailbox_id, side, shared, digest, holder, trial_ms, first): whether this login may be tried now, as
-- {state, ms to wait, words}: see LoginTurn. Credentials that never let anybody in are tried by one holder at a time; and
-- own ones not at all once the `first` of a server were refused and nobody was let in there.
local key, field = login_place(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
local now, login = clock(), login_record(key, field, ARGV[5])
if login.state == 'r' then return {'refused', 0, login.words} end
if login.state == 'p' then return {'proved', 0, ''} end
if login.state == 't' and login.holder ~= ARGV[6] and login.till > now then return {'wait', login.till - now, ''} end
if ARGV[4] == '0' and login.count == 0 then
  local turn = brake_turn(ARGV[1], ARGV[2], ARGV[3], now + tonumber(ARGV[7]), tonumber(ARGV[8]))
  if turn == 'stopped' then return {'stopped', 0, ''} end
  if turn ~= 'go' then return {'wait', turn, ''} end
end
login.state, login.till, login.holder = 't', now + tonumber(ARGV[7]), ARGV[6]
write_login(key, field, ARGV[5], login)
return {'trial', 0, ''}
