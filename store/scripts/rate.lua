#!lua flags=allow-oom
-- KEYS: the tenant's count. ARGV: milliseconds of a window. Gives the count and the milliseconds that remain.
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return {count, redis.call('PTTL', KEYS[1])}
