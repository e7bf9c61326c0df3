-- login_told(import_id, mailbox_id, side, shared, digest, holder, result, words, most_doubts): notes how a try to sign in ended. The
-- words of `result` are those of shared.model.sign_in.LoginResult, the words of the answer those of RefusalMeaning.
local key, field = login_place(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
local login, shared, result = login_record(key, field, ARGV[5]), ARGV[4] == '1', ARGV[7]
local ours = login.state == 't' and login.holder == ARGV[6]
login.till = 0
-- A login that is not on record was changed meanwhile: its refusal does not count.
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
-- The server refused. A login that is not on record was changed meanwhile: the refusal is not about the new one.
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
