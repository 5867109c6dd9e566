-- KEYS: 1 queues, 2 reply, 3 wake. ARGV: 1 name of the lease, 2 response id, 3 conversation, 4 stem of queues,
-- 5 what became of it, 6 a time from now, 7 error, 8 progress, 9 life of the reply from now on, 10 frame or ''.
local digest = redis.sha1hex(ARGV[3])
local queue = ARGV[4] .. digest
local reply = redis.call('HMGET', KEYS[2], 'w', 'a')
if reply[1] ~= ARGV[1] or redis.call('LINDEX', queue, 0) ~= ARGV[2] then return 0 end
local now = now_ms()
local next_at = now + ARGV[6]
local what, attempts = ARGV[5], tonumber(reply[2]) + 1
local is_over = what == 'delivered' or what == 'failed'
if what == 'part' then
  redis.call('HSET', KEYS[2], 'p', ARGV[8])
else
  redis.call('HDEL', KEYS[2], 'w')
end
if what == 'retrying' then redis.call('HSET', KEYS[2], 's', what, 'a', attempts, 'x', ARGV[7], 'p', ARGV[8]) end
if what == 'failed' then redis.call('HSET', KEYS[2], 's', what, 'a', attempts, 'x', ARGV[7]) end
if what == 'delivered' then
  redis.call('HSET', KEYS[2], 's', what, 'a', attempts)
  redis.call('HDEL', KEYS[2], 'b', 'k', 'o', 'm', 'q', 't', 'p', 'x', 'r', 'y')
end
if is_over then
  redis.call('LPOP', queue)
  redis.call('PEXPIRE', KEYS[2], ARGV[9])
end
-- A pause after the last reply holds the next one back too.
if is_over and next_at <= now and redis.call('LLEN', queue) == 0 then
  redis.call('ZREM', KEYS[1], digest)
else
  redis.call('ZADD', KEYS[1], next_at, digest)
end
if ARGV[10] ~= '' then redis.call('SPUBLISH', KEYS[3], 'd' .. ARGV[10]) end
return 1
