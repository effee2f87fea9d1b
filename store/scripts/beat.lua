-- KEYS: workers, this worker. ARGV: id, state (JSON), seconds to live.
local clock = redis.call('TIME')
local now, ttl = tonumber(clock[1]), tonumber(ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'PX', math.floor(ttl * 1000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + math.ceil(ttl), ARGV[1])
redis.call('EXPIRE', KEYS[1], math.ceil(ttl) + 60)
