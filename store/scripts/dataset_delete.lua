#!lua flags=allow-oom
-- KEYS: data set, the tenant's data sets by upload, their bytes. ARGV: id, prefix of its segments. Gives 1 or 0.
local dataset, uploads, sizes = unpack(KEYS)
local manifest = redis.call('HGET', dataset, 'manifest')
if not manifest then
  return 0
end
manifest = cjson.decode(manifest)
for i = 0, manifest.count - 1 do
  redis.call('UNLINK', ARGV[2] .. ':' .. manifest.tag .. ':' .. i)
end
redis.call('UNLINK', dataset)
redis.call('ZREM', uploads, ARGV[1])
redis.call('HINCRBY', sizes, 'total', -(tonumber(redis.call('HGET', sizes, ARGV[1])) or 0))
redis.call('HDEL', sizes, ARGV[1])
return 1
