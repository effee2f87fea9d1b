-- ARGV: fence, terminal status, seconds to live, bytes, then fields and values. Gives 1, or 0 if the claim is lost.
if not holds(ARGV[4]) then
  return 0
end
redis.call('HSET', record, unpack(ARGV, 8))
redis.call('HINCRBY', sizes, id, ARGV[7])
redis.call('HINCRBY', sizes, 'total', ARGV[7])
return conclude(ARGV[5], tonumber(ARGV[6])) and 1 or 0
