-- hold(name, ms, import_id, why): nobody claims what needs "scope:key" for so long. Words of who said so are kept for people.
set_hold(ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4])
return 'OK'
