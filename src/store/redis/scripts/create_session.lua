-- KEYS: 1 session. ARGV: 1 API key digest, 2 sealed API key, 3 public key, 4 life.
local now = now_ms()
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'k', ARGV[1], 'a', ARGV[2], 'p', ARGV[3], 'c', now)
end
redis.call('HSET', KEYS[1], 'n', now)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return redis.call('HMGET', KEYS[1], 'k', 'a', 'p', 'c', 'n')
