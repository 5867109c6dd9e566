-- Takes a heartbeat and what was counted and stored since the last one.
-- KEYS: 1 replicas, 2 what they say of themselves, 3 recent. ARGV: 1 id, 2 what it says, 3 life of a replica, 4
-- stem of minutes, 5 life of a minute, 6 most recent, 7 their life, 8 counters, then a number for each of them,
-- then an instant and a member for each recent one. The key of the minute is made here: it shares the slot of the
-- declared ones.
local now = now_ms()
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local lapsed = redis.call('ZRANGE', KEYS[1], '-inf', now - ARGV[3], 'BYSCORE', 'LIMIT', 0, 100)
if #lapsed > 0 then
  redis.call('ZREM', KEYS[1], unpack(lapsed))
  redis.call('HDEL', KEYS[2], unpack(lapsed))
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local first = 9 + ARGV[8]
local minute = ARGV[4] .. math.floor(now / 60000)
local has_counted = false
for n = 9, first - 1 do
  if ARGV[n] ~= '0' then
    redis.call('HINCRBY', minute, n - 9, ARGV[n])
    has_counted = true
  end
end
if has_counted then redis.call('PEXPIRE', minute, ARGV[5]) end
if ARGV[first] then
  redis.call('ZADD', KEYS[3], unpack(ARGV, first))
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[6])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
return 1
