-- KEYS: probe. A server that takes no changes refuses the script.
redis.call('SET', KEYS[1], '', 'PX', 1000)
