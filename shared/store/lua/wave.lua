-- wave(import_id, name, starts_ms or '', weight or '', order or '', piece): makes a wave that is not there, and sets what is given. With a
-- start of 0 it may begin at once. Mailboxes that are at work while it has not begun are told to pause. Returns {1 when done, whether
-- mailboxes are left to sweep}.
local i, name, starts, weight, order, piece = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local key, line = wave_key(i, name), i .. ':' .. name
if redis.call('EXISTS', import_key(i)) == 0 then return {0, 0} end
if sweeping(i) then return redis.error_reply('SWEEPING ' .. i) end
if name ~= '' then
  redis.call('ZADD', import_key(i) .. ':waves', 'NX', redis.call('ZCARD', import_key(i) .. ':waves'), name)
end
if weight ~= '' then redis.call('HSET', key, 'weight', weight) end
if order ~= '' then
  redis.call('HSET', key, 'order', order)
  if tonumber(order) == 0 then redis.call('HDEL', P .. 'orders', line) else redis.call('HSET', P .. 'orders', line, order) end
end
if starts ~= '' then
  redis.call('HSET', key, 'starts_at', starts)
  redis.call('ZREM', P .. 'starting', line)
  if tonumber(starts) > clock() then redis.call('ZADD', P .. 'starting', starts, line) end
  if name ~= '' then
    begin_sweep(i, 'refresh', name)
    return {1, sweep_on(i, piece)}
  end
end
return {1, 0}
