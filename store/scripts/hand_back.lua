-- ARGV: fence, the queue of a fit that is slow or ''. Gives 1 if the fit now waits in its queue, 0 if the claim is lost or the fit was to be cancelled.
if not holds(ARGV[4]) then
  return 0
end
if field('status') == 'cancelling' then
  conclude('cancelled', policy.unsuccessful_ttl)
  return 0
end
redis.call('HDEL', record, 'fence', 'lease_until', 'progress', 'phase')
if ARGV[5] ~= '' then
  redis.call('HSET', record, 'slow', 1, 'queue', ARGV[5])
end
redis.call('HINCRBY', record, 'attempt', -1)
if fruitless() > 0 then
  redis.call('HINCRBY', record, 'fruitless', -1)
end
local checkpoint = field('checkpoint')
if checkpoint then
  -- It may wait for longer than what was saved of a running fit lives; its end removes it.
  for _, name in ipairs(segments(cjson.decode(checkpoint))) do redis.call('PERSIST', name) end
end
redis.call('ZADD', due, decimal(now + policy.queue_grace), id)
turn('queued')
return 1
