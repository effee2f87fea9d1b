-- KEYS: outbox. ARGV: lease in seconds, seconds to live. Gives the fields and values of a callback that is due, or none.
-- Of the tenants with one, that with the fewest under way is next; of those, the one whose last turn is longest ago.
local outbox, ttl = KEYS[1], tonumber(ARGV[2])
local sending, turns = outbox .. ':sending', outbox .. ':turns'
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function first_due(box)
  return redis.call('ZRANGEBYSCORE', box, '-inf', string.format('%.6f', now), 'LIMIT', 0, 1)[1]
end

redis.call('ZREMRANGEBYSCORE', sending, '-inf', string.format('%.6f', now))
local under_way = {}
for _, one in ipairs(redis.call('ZRANGE', sending, 0, -1)) do
  local tenant = redis.call('HGET', one, 'tenant')
  if tenant then
    under_way[tenant] = (under_way[tenant] or 0) + 1
  end
end

while true do
  local callback, box, fewest = nil, outbox, math.huge
  for _, tenant in ipairs(redis.call('ZRANGE', turns, 0, -1)) do
    local own = outbox .. ':of:' .. tenant
    local one = (under_way[tenant] or 0) < fewest and first_due(own)
    if one then
      callback, box, fewest = one, own, under_way[tenant] or 0
    end
  end
  callback = callback or first_due(outbox)
  if not callback then
    return {}
  end
  if redis.call('EXISTS', callback) == 1 then
    local again = string.format('%.6f', now + tonumber(ARGV[1]))
    redis.call('HINCRBY', callback, 'attempts', 1)
    redis.call('HSET', callback, 'attempted_at', string.format('%.6f', now))
    redis.call('HDEL', callback, 'status', 'error')
    send_at(callback, outbox, again, ttl)
    redis.call('ZADD', sending, again, callback)
    redis.call('PEXPIRE', sending, math.floor(ttl * 1000))
    redis.call('ZADD', turns, string.format('%.6f', now), redis.call('HGET', callback, 'tenant'))
    return redis.call('HGETALL', callback)
  end
  redis.call('ZREM', outbox, callback)
  redis.call('ZREM', box, callback)
end
