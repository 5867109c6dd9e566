-- KEYS: 1 audit. ARGV: 1 most, 2 life, then fields and values.
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], math.max(now_ms(), last + 1) .. '-0', unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
