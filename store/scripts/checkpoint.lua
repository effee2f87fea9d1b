-- ARGV: fence, manifest (JSON). Gives 1, or 0 if the claim is lost.
if not holds(ARGV[4]) then
  return 0
end
drop_checkpoint()
redis.call('HSET', record, 'checkpoint', ARGV[5], 'fruitless', 0)
for _, name in ipairs(segments(cjson.decode(ARGV[5]))) do
  redis.call('PEXPIRE', name, milliseconds(policy.checkpoint_ttl))
end
return 1
