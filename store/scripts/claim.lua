-- ARGV: worker, lease in seconds.
-- Gives fence, attempt, seconds since creation and whether something was saved by a worker before and whether
-- it has waited for being slow, or nothing.
local status = field('status')
if not status or is_terminal(status) then
  return false
end
if status ~= 'queued' and (tonumber(field('lease_until')) or 0) > now then
  return false
end
if not may_run() then
  return false
end
local attempt = redis.call('HINCRBY', record, 'attempt', 1)
redis.call('HINCRBY', record, 'fruitless', 1)
-- A deleted and created fit starts to count again, so the number alone would not tell its claims apart.
local fence = attempt .. ':' .. decimal(now) .. ':' .. ARGV[4]
local lease_until = now + tonumber(ARGV[5])
redis.call('HSET', record, 'fence', fence, 'lease_until', decimal(lease_until), 'started_at', decimal(now))
redis.call('HDEL', record, 'progress', 'phase')
redis.call('ZADD', due, decimal(lease_until), id)
turn('running')
return {fence, attempt, decimal(now - tonumber(field('created_at'))), field('checkpoint') and 1 or 0,
  field('slow') and 1 or 0}
