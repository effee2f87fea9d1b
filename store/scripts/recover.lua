-- Gives 1 if the fit now waits in the queue.
local status = field('status')
local deadline = tonumber(redis.call('ZSCORE', due, id))
if not status then
  redis.call('ZREM', due, id)
  return 0
end
if not deadline or deadline > now or not may_run() then
  return 0
end
if status == 'running' then
  turn('queued')
end
redis.call('ZADD', due, decimal(now + policy.queue_grace), id)
return 1
