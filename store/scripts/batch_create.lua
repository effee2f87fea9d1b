-- KEYS: batch, its tally, the tenant's batches by creation. ARGV: id, seconds to live, how many members were refused,
-- then fields and values. Gives the time of creation.
local batch, tally, batches = unpack(KEYS)
local ttl = tonumber(ARGV[2])
local milliseconds = math.floor(ttl * 1000)
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local created = string.format('%.6f', now)
if ARGV[3] ~= '0' then
  redis.call('HINCRBY', tally, 'rejected', ARGV[3])
  redis.call('PEXPIRE', tally, milliseconds)
end
redis.call('HSET', batch, 'id', ARGV[1], 'created_at', created, 'expires_at', string.format('%.6f', now + ttl),
  unpack(ARGV, 4))
redis.call('PEXPIRE', batch, milliseconds)
redis.call('ZREMRANGEBYSCORE', batches, '-inf', string.format('%.6f', now - ttl))
redis.call('ZADD', batches, created, ARGV[1])
redis.call('PEXPIRE', batches, milliseconds)
return created
