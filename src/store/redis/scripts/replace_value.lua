-- KEYS: 1 string. ARGV: 1 value that it must have, 2 value that it gets. Gives 1 if it was changed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
