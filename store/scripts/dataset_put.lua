-- KEYS: data set, the tenant's data sets by upload, their bytes.
-- ARGV: id, seconds to live, budget in bytes, prefix of its segments, manifest (JSON) or '', then fields and values.
-- Gives 'new', 'kept', 'absent' (there is none to prolong, and no manifest) or 'tenant' (the budget is spent).
local dataset, uploads, sizes = unpack(KEYS)
local id, ttl, blob = ARGV[1], tonumber(ARGV[2]), ARGV[4]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local milliseconds = math.floor(ttl * 1000)

-- What was uploaded longer ago than anything lives is gone by itself.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', uploads, '-inf', string.format('%.6f', now - ttl))) do
  redis.call('ZREM', uploads, old)
  redis.call('HINCRBY', sizes, 'total', -(tonumber(redis.call('HGET', sizes, old)) or 0))
  redis.call('HDEL', sizes, old)
end

local outcome = 'kept'
if redis.call('EXISTS', dataset) == 0 then
  if ARGV[5] == '' then
    return 'absent'
  end
  local bytes = cjson.decode(ARGV[5]).bytes
  if (tonumber(redis.call('HGET', sizes, 'total')) or 0) + bytes > tonumber(ARGV[3]) then
    return 'tenant'
  end
  redis.call('HSET', dataset, 'manifest', ARGV[5], unpack(ARGV, 6))
  redis.call('HSET', sizes, id, bytes)
  redis.call('HINCRBY', sizes, 'total', bytes)
  outcome = 'new'
end
redis.call('HSET', dataset, 'uploaded_at', string.format('%.6f', now), 'expires_at', string.format('%.6f', now + ttl))
redis.call('ZADD', uploads, string.format('%.6f', now), id)
redis.call('PEXPIRE', dataset, milliseconds)
redis.call('PEXPIRE', uploads, milliseconds)
redis.call('PEXPIRE', sizes, milliseconds)
local manifest = cjson.decode(redis.call('HGET', dataset, 'manifest'))
for i = 0, manifest.count - 1 do
  redis.call('PEXPIRE', blob .. ':' .. manifest.tag .. ':' .. i, milliseconds)
end
return outcome
