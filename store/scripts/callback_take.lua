-- KEYS: outbox. ARGV: lease in seconds. Gives the fields and values of a callback that is due, or none.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
while true do
  local callback = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now), 'LIMIT', 0, 1)[1]
  if not callback then
    return {}
  end
  if redis.call('EXISTS', callback) == 1 then
    local again = string.format('%.6f', now + tonumber(ARGV[1]))
    redis.call('HINCRBY', callback, 'attempts', 1)
    redis.call('HSET', callback, 'attempted_at', string.format('%.6f', now), 'due_at', again)
    redis.call('HDEL', callback, 'status', 'error')
    redis.call('ZADD', KEYS[1], again, callback)
    return redis.call('HGETALL', callback)
  end
  redis.call('ZREM', KEYS[1], callback)
end
