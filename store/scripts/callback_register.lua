-- KEYS: callback, the callbacks of its subject, outbox. ARGV: seconds to live, how many may be open, how many of
-- those that are over are kept, statuses that may change (JSON), how many fields and values follow, these, then the
-- names of each fit's record and watchers.
-- Gives the name of the callback that is there now, or nothing if there are too many.
local callback, list, outbox = unpack(KEYS)
local ttl, most, fields = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local given = {}
for i = 6, 5 + fields, 2 do given[ARGV[i]] = ARGV[i + 1] end

local active = {}
for _, status in ipairs(cjson.decode(ARGV[4])) do active[status] = true end
local watched, last = {}, 'gone'
for i = 6 + fields, #ARGV, 2 do
  last = redis.call('HGET', ARGV[i], 'status') or 'gone'
  if active[last] then
    watched[#watched + 1] = ARGV[i + 1]
  end
end

-- One that is due tells of an end that was, which a fit that began anew has still before it.
local same, open, over = #watched > 0 and 'waiting' or 'pending', 0, {}
for _, other in ipairs(redis.call('ZRANGE', list, 0, -1)) do
  local state, url, events = unpack(redis.call('HMGET', other, 'state', 'url', 'events'))
  if not state then
    redis.call('ZREM', list, other)
  elseif state == 'waiting' or state == 'pending' then
    if url == given.url and events == given.events and state == same then
      return other
    end
    open = open + 1
  else
    over[#over + 1] = other
  end
end
if open >= most then
  return false
end
-- Whoever asks again and again leaves no more than this.
for i = 1, #over - tonumber(ARGV[3]) + 1 do
  redis.call('UNLINK', over[i])
  redis.call('ZREM', list, over[i])
end

redis.call('HSET', callback, 'state', 'waiting', 'attempts', 0, 'left', math.max(#watched, 1), 'list', list,
  'created_at', string.format('%.6f', now), unpack(ARGV, 6, 5 + fields))
redis.call('ZADD', list, string.format('%.6f', now), callback)
for _, watchers in ipairs(watched) do redis.call('SADD', watchers, callback) end
if #watched == 0 then
  release(callback, outbox, last, now, ttl)
else
  redis.call('PERSIST', list)
end
return callback
