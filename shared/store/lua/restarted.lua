-- restarted(): the server knew no script, so that it has just started, or another has taken its place. It may have lost the last
-- second of its file, or what its master had not sent. Written before any other script is loaded: nobody is given work before.
-- Leases up to this term close no unit (finish.lua), and mail that arrived since a mailbox was planned may be its own (claim.lua).
redis.call('HSET', P .. 'restarted', 'term', redis.call('GET', P .. 'terms') or '0', 'at', string.format('%.0f', clock()))
return 'OK'
