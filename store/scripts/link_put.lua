-- KEYS: link, the tenant's links by creation.
-- ARGV: id, seconds to live, how many links a tenant may have, prefix of links, then fields and values.
-- Gives the link's fields and values, or none if the tenant has as many links already.
local link, links = unpack(KEYS)
local id, ttl, most, prefix = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local milliseconds = math.floor(ttl * 1000)

if redis.call('ZCARD', links) >= most then
  -- Expired ones are gone by themselves, and only counted as long as nobody looks.
  for _, old in ipairs(redis.call('ZRANGE', links, 0, -1)) do
    if redis.call('EXISTS', prefix .. old) == 0 then
      redis.call('ZREM', links, old)
    end
  end
  if redis.call('ZCARD', links) >= most then
    return {}
  end
end
redis.call('HSET', link, 'created_at', string.format('%.6f', now), 'expires_at', string.format('%.6f', now + ttl), unpack(ARGV, 5))
redis.call('PEXPIRE', link, milliseconds)
redis.call('ZADD', links, string.format('%.6f', now), id)
-- The list lives as long as what is last in it.
redis.call('PEXPIRE', links, math.max(milliseconds, redis.call('PTTL', links)))
return redis.call('HGETALL', link)
