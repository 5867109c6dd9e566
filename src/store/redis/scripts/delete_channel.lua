-- KEYS: 1 channels, 2 channel, 3 responses, 4 their last instant. ARGV: 1 id.
redis.call('SREM', KEYS[1], ARGV[1])
local had = redis.call('DEL', KEYS[2])
redis.call('DEL', KEYS[3], KEYS[4])
return had
