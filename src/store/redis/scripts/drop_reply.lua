-- Drops a reply, with its content. KEYS: 1 reply, 2 queues. ARGV: 1 channel id, 2 response id, 3 stem of queues, 4
-- error, 5 life of what became of it. The key of its queue is made here: it shares the slot of the declared ones.
-- Gives what became of it, how often it was tried, and 1 if it was under way until now.
local reply = redis.call('HMGET', KEYS[1], 'c', 'k', 'w', 'a', 's')
if reply[1] ~= ARGV[1] then return {'unknown'} end
if redis.call('HEXISTS', KEYS[1], 'b') == 0 then return {'nothing'} end
local now = now_ms()
local digest = redis.sha1hex(reply[2])
local queue = ARGV[3] .. digest
local position = redis.call('LPOS', queue, ARGV[2])
if position == 0 then
  local due = tonumber(redis.call('ZSCORE', KEYS[2], digest) or 0)
  if reply[3] and due > now then return {'held'} end
  -- The wait for a retry ends with it. A pause that the platform wants holds for what follows too.
  if reply[5] == 'retrying' and due > now then redis.call('ZADD', KEYS[2], now, digest) end
end
if position then redis.call('LREM', queue, 1, ARGV[2]) end
local is_end = reply[5] ~= 'failed'
if is_end then redis.call('HSET', KEYS[1], 's', 'failed', 'x', ARGV[4]) end
redis.call('HDEL', KEYS[1], 'b', 'k', 'o', 'm', 'q', 't', 'p', 'w', 'r', 'y')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'dropped', reply[4], is_end and 1 or 0}
