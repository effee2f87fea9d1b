#!lua flags=allow-oom
-- KEYS: batch, its tally and order, the tenant's batches by creation, their bytes. ARGV: id. Gives 1 or 0.
local batch, tally, order, batches, sizes = unpack(KEYS)
local found = redis.call('UNLINK', batch)
redis.call('UNLINK', tally, order)
redis.call('ZREM', batches, ARGV[1])
redis.call('HINCRBY', sizes, 'total', -(tonumber(redis.call('HGET', sizes, ARGV[1])) or 0))
redis.call('HDEL', sizes, ARGV[1])
return found
