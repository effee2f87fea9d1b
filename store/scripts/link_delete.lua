#!lua flags=allow-oom
-- KEYS: link, the tenant's links by creation. ARGV: id, tenant. Gives 1, or 0 if it is not the tenant's.
if redis.call('HGET', KEYS[1], 'tenant') ~= ARGV[2] then
  return 0
end
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
