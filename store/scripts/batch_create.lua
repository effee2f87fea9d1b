-- KEYS: batch, its tally and order, the tenant's batches by creation, their bytes.
-- ARGV: id, seconds to live, bytes, budget in bytes, how many members were refused, then fields and values.
-- Gives 'created' or 'tenant' (the budget is spent).
local batch, tally, order, batches, sizes = unpack(KEYS)
local id, ttl, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local milliseconds = math.floor(ttl * 1000)
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function decimal(seconds)
  return string.format('%.6f', seconds)
end

-- What was created longer ago than anything lives is gone by itself.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', batches, '-inf', decimal(now - ttl))) do
  redis.call('ZREM', batches, old)
  redis.call('HINCRBY', sizes, 'total', -(tonumber(redis.call('HGET', sizes, old)) or 0))
  redis.call('HDEL', sizes, old)
end
if (tonumber(redis.call('HGET', sizes, 'total')) or 0) + bytes > tonumber(ARGV[4]) then
  redis.call('UNLINK', tally, order)
  return 'tenant'
end
if ARGV[5] ~= '0' then
  redis.call('HINCRBY', tally, 'rejected', ARGV[5])
  redis.call('PEXPIRE', tally, milliseconds)
end
redis.call('HSET', batch, 'id', id, 'created_at', decimal(now), 'expires_at', decimal(now + ttl), unpack(ARGV, 6))
redis.call('ZADD', batches, decimal(now), id)
redis.call('HSET', sizes, id, bytes)
redis.call('HINCRBY', sizes, 'total', bytes)
for _, key in ipairs({batch, batches, sizes}) do redis.call('PEXPIRE', key, milliseconds) end
return 'created'
