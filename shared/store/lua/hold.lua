-- hold(name, ms, import_id, why, start, most): nobody claims what needs "scope:key" for so long. Words of who said so are kept for
-- people. start, most: of its scope, where nothing is set.
set_hold(ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 'OK'
