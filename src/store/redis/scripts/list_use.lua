-- Lists the last use of a listed user. KEYS: 1 seen. ARGV: 1 user, 2 the use. Gives 0 for one who is not listed.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
return 1
