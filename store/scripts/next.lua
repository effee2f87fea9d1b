-- KEYS: waiting. ARGV: queue. Gives the id of the fit whose turn it is, or nothing; `line_up` in fit.lua keeps the lines.
local line = KEYS[1] .. ':' .. ARGV[1]
local first = redis.call('ZRANGE', line, 0, 0)[1]
if not first then
  return false
end
if redis.call('ZSCORE', line .. ':slow', first) then
  return first
end
for _, tenant in ipairs(redis.call('ZRANGE', line .. ':turns', 0, -1)) do
  local own = redis.call('ZRANGE', line .. ':of:' .. tenant, 0, 0)[1]
  if own then
    return own
  end
end
return first
