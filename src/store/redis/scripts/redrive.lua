-- Sends a reply again, or at once if it waits for its next try.
-- KEYS: 1 reply, 2 channel, 3 queues. ARGV: 1 channel id, 2 response id, 3 stem of queues, 4 type, 5 most replies in a
-- queue, 6 life of a queued reply. The key of its queue is made here: it shares the slot of the declared ones. Gives
-- what became of it, and the status that it has.
local reply = redis.call('HMGET', KEYS[1], 'c', 'k', 'w', 'a', 's')
if reply[1] ~= ARGV[1] then return {'unknown'} end
if redis.call('HEXISTS', KEYS[1], 'b') == 0 then return {'nothing'} end
local channel = redis.call('HMGET', KEYS[2], 't', 'e')
if channel[1] ~= ARGV[4] or channel[2] ~= '1' then return {'channel'} end
local now = now_ms()
local digest = redis.sha1hex(reply[2])
local queue = ARGV[3] .. digest
local position = redis.call('LPOS', queue, ARGV[2])
if position == 0 then
  if reply[3] and tonumber(redis.call('ZSCORE', KEYS[3], digest) or 0) > now then return {'held'} end
  redis.call('ZADD', KEYS[3], now, digest)
  return {'hastened', reply[5]}
end
if position then return {'waits'} end
if redis.call('LLEN', queue) >= tonumber(ARGV[5]) then return {'full'} end
redis.call('HSET', KEYS[1], 's', 'pending', 'f', now, 'r', reply[4])
redis.call('HDEL', KEYS[1], 'w')
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('RPUSH', queue, ARGV[2])
redis.call('PEXPIRE', queue, ARGV[6])
redis.call('ZADD', KEYS[3], 'NX', now, digest)
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return {'redriven', 'pending'}
