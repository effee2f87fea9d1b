-- ARGV: the payload's manifest (JSON), bytes, then the record's fields and values. Gives what stands in the way.
local before = redis.call('EXISTS', record) == 1
if before and not runs_anew() then
  return 'exists'
end
if redis.call('ZCARD', due) >= policy.max_active then
  return 'queue'
end
if redis.call('ZCOUNT', expiry, '+inf', '+inf') >= policy.tenant_active then
  return 'tenant queue'
end
-- A server without room may have refused what the record is to name.
local manifest = cjson.decode(ARGV[4])
if manifest.count > 0 and redis.call('EXISTS', unpack(segments(manifest))) < manifest.count then
  return 'full'
end
forget_expired()
local bytes = tonumber(ARGV[5])
local freed = before and tonumber(redis.call('HGET', sizes, id)) or 0
if (tonumber(redis.call('HGET', sizes, 'total')) or 0) - freed + bytes > policy.tenant_bytes then
  return 'tenant'
end
if before then
  for _, name in ipairs(all_segments()) do redis.call('UNLINK', name) end
  redis.call('DEL', record)
  forget(id)
end
redis.call('DEL', events, tombstone)
redis.call('HSET', record, 'status', 'queued', 'attempt', 0, 'created_at', decimal(now), 'payload', ARGV[4],
  unpack(ARGV, 6))
for _, name in ipairs(all_segments()) do redis.call('PERSIST', name) end
redis.call('ZADD', due, decimal(now + policy.queue_grace), id)
redis.call('ZADD', fits, decimal(now), id)
redis.call('ZADD', expiry, 'inf', id)
redis.call('HSET', sizes, id, bytes)
redis.call('HINCRBY', sizes, 'total', bytes)
keep_indexes()
line_up()
tell('status')
return 'created'
