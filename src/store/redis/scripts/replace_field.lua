-- Changes a hash that is as it was read, and leaves its life as it is. KEYS: 1 hash. ARGV: 1 field that must have,
-- 2 this value, then fields and values. Gives 1 if it was changed.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
