-- KEYS: 1 due. ARGV: 1 member, 2 the claim, 3 time from now or ''.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= ARGV[2] + CLAIMED then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], now_ms() + ARGV[3], ARGV[1])
return 1
