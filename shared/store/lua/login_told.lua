-- login_told(import_id, mailbox_id, side, shared, digest, holder, result, words, most_doubts): how a try ended. result: 'in',
-- 'refused', 'alone' (refused, and that says nothing of other logins there), or 'unknown' (nothing was said of the login). Answers for 'refused' what it means: 'refused' (this login is
-- not tried again), 'one' (a shared login, which let others in: only this mailbox is to blame), or 'doubted' (it let in
-- before, and other connections of the account are open: too many of them, perhaps; one more try decides).
local key, field = login_place(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
local login, shared, result = login_record(key, field, ARGV[5]), ARGV[4] == '1', ARGV[7]
local ours = login.state == 't' and login.holder == ARGV[6]
login.till = 0
-- What is not on record was changed meanwhile: its refusal does not count.
if not shared and not (result == 'refused' and login.state == 'u') then brake_told(ARGV[1], ARGV[2], ARGV[3], result) end
if result == 'in' then
  if login.state ~= 'r' then
    login.state, login.count, login.holder = 'p', 0, ''
    write_login(key, field, ARGV[5], login)
  end
  return ''
end
if result == 'unknown' then
  if ours then
    login.state, login.holder = login.count > 0 and 'd' or 'u', ''
    write_login(key, field, ARGV[5], login)
  end
  return ''
end
-- Refused. What is not on record was changed meanwhile: the refusal is not about what is tried next.
if login.state == 'r' or login.state == 'u' then return 'refused' end
local verdict = 'refused'
if not ours and other_permits(ARGV[2], ARGV[3]) > 0 then
  verdict = 'doubted'
elseif shared and (not ours or login.count > 0) and login.count + 1 < tonumber(ARGV[9]) then
  verdict = 'one'
end
if ours or login.state ~= 't' then
  if verdict == 'refused' then
    login.state, login.holder, login.words = 'r', '', ARGV[8]
  else
    login.state, login.holder, login.count = 'd', '', login.count + 1
  end
  write_login(key, field, ARGV[5], login)
end
return verdict
