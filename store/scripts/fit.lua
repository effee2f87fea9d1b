-- What all scripts about one fit share; it is put before each of them.
-- KEYS: record, events, due, the tenant's fits, expiry and bytes, tombstone, waiting (a queue follows), outcomes,
-- the batches and the callbacks that wait for the fit, outbox.
-- ARGV: policy (JSON), fit id, prefix of the fit's segments, then the script's own.
-- Segments are named by the record, so they cannot all be declared as KEYS; they share the record's hash tag.
local record, events, due, fits, expiry, sizes, tombstone, waiting, outcomes, places, watchers, outbox =
  unpack(KEYS)
local policy = cjson.decode(ARGV[1])
local id, blob = ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function decimal(seconds)
  return string.format('%.6f', seconds)
end

local function milliseconds(seconds)
  return math.floor(seconds * 1000)
end

local function field(name)
  return redis.call('HGET', record, name)
end

local function is_terminal(status)
  return #policy.transitions[status] == 0
end

local function tell(kind, progress)
  redis.call('XADD', events, 'MAXLEN', '~', policy.max_events, '*', 'kind', kind, 'at', decimal(now),
    'status', field('status'), 'progress', progress or '')
  redis.call('HSET', record, 'event_at', decimal(now))
end

-- Keep the fit among those that wait in its queue while it does.
-- Each tenant has a line of its own beside it, and the times of their last turns say whose is next; a fit that is slow
-- is in neither, and waits for those that came before it. `next.lua` makes the same names.
local function line_up()
  local line, tenant, status = waiting .. ':' .. field('queue'), field('tenant'), field('status')
  local own, slow, turns = line .. ':of:' .. tenant, line .. ':slow', line .. ':turns'
  if status == 'queued' then
    redis.call('ZADD', line, decimal(now), id)
    redis.call('ZADD', field('slow') and slow or own, decimal(now), id)
    redis.call('ZADD', turns, 'NX', 0, tenant)
  else
    for _, one in ipairs({line, own, slow}) do redis.call('ZREM', one, id) end
    if status == 'running' then
      redis.call('ZADD', turns, decimal(now), tenant)
    end
  end
  redis.call('PEXPIRE', turns, 86400000)
end

-- Each batch that waits for the fit counts it anew; when it can change no more, the batch notes its end.
local function tell_batches(from, to, over)
  local waiters = redis.call('ZRANGE', places, 0, -1, 'WITHSCORES')
  for i = 1, #waiters, 2 do
    local batch, members = waiters[i], waiters[i + 1]
    if redis.call('EXISTS', batch .. ':tally') == 1 then
      redis.call('HINCRBY', batch .. ':tally', from, -members)
      redis.call('HINCRBY', batch .. ':tally', to, members)
      if over then
        redis.call('RPUSHX', batch .. ':order', id .. ' ' .. to)
      end
    end
  end
  if over then
    redis.call('UNLINK', places)
  end
end

-- Whoever asked to be told of the fit's end is, in the change that ends it.
local function call_back(status)
  for _, callback in ipairs(redis.call('SMEMBERS', watchers)) do
    release(callback, outbox, status, now, policy.callback_ttl)
  end
  redis.call('UNLINK', watchers)
end

local function turn(to)
  local from = field('status')
  for _, legal in ipairs(policy.transitions[from]) do
    if legal == to then
      redis.call('HSET', record, 'status', to)
      line_up()
      tell('status')
      tell_batches(from, to, is_terminal(to))
      if is_terminal(to) then
        call_back(to)
      end
      return true
    end
  end
  return false
end

-- A claim is held while its fence is the current one. A worker that was thought dead gets a queued fit back.
local function holds(fence)
  if field('fence') ~= fence then
    return false
  end
  local status = field('status')
  if status == 'queued' then
    return turn('running')
  end
  return not is_terminal(status)
end

local function segments(manifest)
  local names = {}
  for i = 0, manifest.count - 1 do
    names[#names + 1] = blob .. ':' .. manifest.tag .. ':' .. i
  end
  return names
end

local function all_segments()
  local names = {}
  local artifacts = field('artifacts')
  for _, one in ipairs({'payload', 'checkpoint'}) do
    local manifest = field(one)
    if manifest then
      for _, name in ipairs(segments(cjson.decode(manifest))) do names[#names + 1] = name end
    end
  end
  if artifacts then
    for _, manifest in pairs(cjson.decode(artifacts)) do
      for _, name in ipairs(segments(manifest)) do names[#names + 1] = name end
    end
  end
  return names
end

-- What a running fit has saved of itself is nobody's once it has ended.
local function drop_checkpoint()
  local checkpoint = field('checkpoint')
  if checkpoint then
    for _, name in ipairs(segments(cjson.decode(checkpoint))) do redis.call('UNLINK', name) end
    redis.call('HDEL', record, 'checkpoint')
  end
end

local function drop_payload()
  local payload = field('payload')
  if not payload then
    return
  end
  local manifest = cjson.decode(payload)
  for _, name in ipairs(segments(manifest)) do redis.call('UNLINK', name) end
  redis.call('HDEL', record, 'payload')
  redis.call('HINCRBY', sizes, id, -manifest.bytes)
  redis.call('HINCRBY', sizes, 'total', -manifest.bytes)
end

-- The tenant's indexes live as long as the last of its fits.
local function keep_indexes()
  local last = redis.call('ZREVRANGE', expiry, 0, 0, 'WITHSCORES')
  for _, key in ipairs({fits, expiry, sizes}) do
    if #last == 0 then
      redis.call('DEL', key)
    elseif last[2] == 'inf' then
      redis.call('PERSIST', key)
    else
      redis.call('PEXPIREAT', key, milliseconds(tonumber(last[2]) + 60))
    end
  end
end

local function forget(fit)
  redis.call('ZREM', fits, fit)
  redis.call('ZREM', expiry, fit)
  redis.call('HINCRBY', sizes, 'total', -(tonumber(redis.call('HGET', sizes, fit)) or 0))
  redis.call('HDEL', sizes, fit)
end

local function forget_expired()
  for _, fit in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', decimal(now), 'LIMIT', 0, 1000)) do
    forget(fit)
  end
end

-- Everything of the fit lives until then.
local function live_until(expires)
  local rest = milliseconds(expires - now)
  redis.call('HSET', record, 'expires_at', decimal(expires))
  redis.call('PEXPIRE', record, rest)
  redis.call('PEXPIRE', events, rest)
  for _, name in ipairs(all_segments()) do redis.call('PEXPIRE', name, rest) end
  redis.call('SET', tombstone, field('tenant'), 'PX', rest + milliseconds(policy.tombstone_ttl))
  redis.call('ZADD', expiry, decimal(expires), id)
  keep_indexes()
end

-- Whether an ended fit gives way to the same request.
local function runs_anew()
  local status, failure = field('status'), field('failure')
  if status == 'failed' and failure then
    return policy.passing[cjson.decode(failure).kind] == true
  end
  return status == 'cancelled'
end

-- Turn to a terminal status; from now on everything of the fit has a time to live.
local function conclude(status, ttl)
  if not turn(status) then
    return false
  end
  drop_checkpoint()
  if status ~= 'succeeded' then
    drop_payload()
  end
  redis.call('HSET', record, 'finished_at', decimal(now))
  local method = cjson.decode(field('outcome') or field('request')).method
  redis.call('HINCRBY', outcomes, status .. ' ' .. (method ~= cjson.null and method or 'none'), 1)
  redis.call('PEXPIRE', outcomes, milliseconds(policy.outcomes_ttl))
  redis.call('HDEL', record, 'fence', 'lease_until')
  redis.call('ZREM', due, id)
  live_until(now + ttl)
  return true
end

-- How many attempts in a row have begun since one last saved something new.
local function fruitless()
  return tonumber(field('fruitless') or 0)
end

-- What becomes of a fit whose worker is dead; true if it may be tried (again).
local function may_run()
  if field('status') == 'cancelling' then
    conclude('cancelled', policy.unsuccessful_ttl)
    return false
  end
  if fruitless() >= policy.max_attempts then
    redis.call('HSET', record, 'failure', policy.worker_lost)
    conclude('failed', policy.unsuccessful_ttl)
    return false
  end
  return true
end
