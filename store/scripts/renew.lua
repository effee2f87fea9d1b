-- ARGV: fence, lease in seconds. Gives whether the claim is held and whether it is to be cancelled.
if not holds(ARGV[4]) then
  return {0, 0}
end
local lease_until = now + tonumber(ARGV[5])
redis.call('HSET', record, 'lease_until', decimal(lease_until))
redis.call('ZADD', due, decimal(lease_until), id)
return {1, field('status') == 'cancelling' and 1 or 0}
