-- KEYS: record. ARGV: tenant. Gives the record's fields and values, or none if it is not the tenant's.
if redis.call('HGET', KEYS[1], 'tenant') ~= ARGV[1] then
  return {}
end
return redis.call('HGETALL', KEYS[1])
