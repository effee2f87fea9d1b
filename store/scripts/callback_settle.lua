-- KEYS: callback, outbox, counts of outcomes. ARGV: attempt, state, outcome, seconds until the next attempt or '',
-- seconds that it and the counts live, then fields and values. Gives 1, or 0 if the attempt is not the last one.
local callback, outbox, outcomes = unpack(KEYS)
local known = redis.call('HMGET', callback, 'state', 'attempts')
if known[1] ~= 'pending' or known[2] ~= ARGV[1] then
  return 0
end
redis.call('HSET', callback, 'state', ARGV[2], unpack(ARGV, 7))
if ARGV[4] ~= '' then
  local clock = redis.call('TIME')
  local due = string.format('%.6f', tonumber(clock[1]) + tonumber(clock[2]) / 1e6 + tonumber(ARGV[4]))
  send_at(callback, outbox, due, tonumber(ARGV[5]))
else
  redis.call('HDEL', callback, 'due_at')
  redis.call('ZREM', outbox, callback)
  redis.call('ZREM', outbox .. ':of:' .. redis.call('HGET', callback, 'tenant'), callback)
end
redis.call('ZREM', outbox .. ':sending', callback)
redis.call('HINCRBY', outcomes, ARGV[3], 1)
for _, key in ipairs({callback, outbox, redis.call('HGET', callback, 'list')}) do
  redis.call('PEXPIRE', key, math.floor(tonumber(ARGV[5]) * 1000))
end
redis.call('PEXPIRE', outcomes, math.floor(tonumber(ARGV[6]) * 1000))
return 1
