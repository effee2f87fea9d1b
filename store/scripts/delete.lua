-- Gives 1 if there was such a fit.
local tenant, status = field('tenant'), field('status')
if not tenant then
  return 0
end
tell_batches(status, 'gone', true)
call_back('gone')
for _, name in ipairs(all_segments()) do redis.call('UNLINK', name) end
redis.call('HSET', record, 'status', 'gone')
line_up()
redis.call('UNLINK', record, events)
redis.call('ZREM', due, id)
forget(id)
keep_indexes()
redis.call('SET', tombstone, tenant, 'PX', milliseconds(policy.tombstone_ttl))
return 1
