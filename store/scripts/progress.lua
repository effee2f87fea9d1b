-- ARGV: fence, progress (JSON), phase. Gives whether the claim is held and whether it is to be cancelled.
if not holds(ARGV[4]) then
  return {0, 0}
end
local same_phase = field('phase') == ARGV[6]
redis.call('HSET', record, 'progress', ARGV[5], 'phase', ARGV[6])
if not same_phase or now - tonumber(field('event_at')) >= policy.event_interval then
  tell('progress', ARGV[5])
end
return {1, field('status') == 'cancelling' and 1 or 0}
