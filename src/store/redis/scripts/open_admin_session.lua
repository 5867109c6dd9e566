-- Notes a login. The oldest make room.
-- KEYS: 1 admins. ARGV: 1 digest, 2 life, 3 most.
local now = now_ms()
local newest = redis.call('ZRANGE', KEYS[1], 0, 0, 'REV', 'WITHSCORES')[2]
-- No two end at the same time, so that there always is an oldest.
local ends = math.max(now + ARGV[2], tonumber(newest or 0) + 1)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], ends, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ends - now)
return 1
