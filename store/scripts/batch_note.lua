#!lua flags=allow-oom
-- KEYS: batch, its ended members, their order. ARGV: index and status of each.
local batch, ended, order = unpack(KEYS)
local left = redis.call('PTTL', batch)
if left <= 0 then
  return
end
for i = 1, #ARGV, 2 do
  if redis.call('SADD', ended, ARGV[i]) == 1 then
    redis.call('RPUSH', order, ARGV[i] .. ':' .. ARGV[i + 1])
  end
end
redis.call('PEXPIRE', ended, left)
redis.call('PEXPIRE', order, left)
