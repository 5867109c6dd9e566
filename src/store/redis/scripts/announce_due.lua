-- Lists a channel as having something due, unless it is listed for an earlier time.
-- KEYS: 1 due. ARGV: 1 member, 2 time from now, 3 life of the list.
redis.call('ZADD', KEYS[1], 'LT', now_ms() + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
