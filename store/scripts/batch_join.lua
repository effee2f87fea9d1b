-- Lets fits tell a batch how they fare: it counts them by status and notes their ends.
-- KEYS: the batch's tally and order. ARGV: milliseconds to live, the batch's hash, statuses that may change (JSON),
-- then for each fit its id, the names of its record and places, and how many members it is.
local tally, order = unpack(KEYS)
if redis.call('EXISTS', order) == 0 then
  -- Ends are added only to a list that is there, and an empty one is not.
  redis.call('RPUSH', order, '')
end
local active = {}
for _, status in ipairs(cjson.decode(ARGV[3])) do active[status] = true end
for i = 4, #ARGV, 4 do
  local id, record, places, members = unpack(ARGV, i, i + 3)
  local status = redis.call('HGET', record, 'status') or 'gone'
  redis.call('HINCRBY', tally, status, members)
  if active[status] then
    redis.call('ZADD', places, members, ARGV[2])
  else
    redis.call('RPUSH', order, id .. ' ' .. status)
  end
end
redis.call('PEXPIRE', tally, ARGV[1])
redis.call('PEXPIRE', order, ARGV[1])
