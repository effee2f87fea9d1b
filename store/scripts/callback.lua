-- What the scripts about fits share with those about callbacks; it is put before each of them.
-- Have a callback sent at a time. Each tenant has an outbox beside that of all, and the times of their last turns.
local function send_at(callback, outbox, at, ttl)
  local tenant = redis.call('HGET', callback, 'tenant')
  local own, turns = outbox .. ':of:' .. tenant, outbox .. ':turns'
  redis.call('HSET', callback, 'due_at', at)
  redis.call('ZADD', outbox, at, callback)
  redis.call('ZADD', own, at, callback)
  redis.call('ZADD', turns, 'NX', 0, tenant)
  for _, key in ipairs({outbox, own, turns}) do redis.call('PEXPIRE', key, math.floor(ttl * 1000)) end
end

-- A fit that a callback waits for has come to `status`; after the last the callback is due, or was not asked for.
local function release(callback, outbox, status, now, ttl)
  local known = redis.call('HMGET', callback, 'events', 'event', 'list')
  if not known[1] or redis.call('HINCRBY', callback, 'left', -1) > 0 then
    return
  end
  local event = known[2] or 'fit.' .. status
  local state = 'skipped'
  for _, one in ipairs(cjson.decode(known[1])) do
    if one == event then
      state = 'pending'
    end
  end
  local at = string.format('%.6f', now)
  redis.call('HSET', callback, 'state', state, 'event', event, 'happened_at', at)
  if state == 'pending' then
    send_at(callback, outbox, at, ttl)
  end
  redis.call('PEXPIRE', callback, math.floor(ttl * 1000))
  redis.call('PEXPIRE', known[3], math.floor(ttl * 1000))
end
