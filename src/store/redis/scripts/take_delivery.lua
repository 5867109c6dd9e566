-- Takes the first reply of the conversation that is due first, for a time.
-- KEYS: 1 channel, 2 queues. ARGV: 1 stem of queues, 2 stem of replies, 3 lease, 4 its name. The keys of queues
-- and replies are made here: they share the slot of the declared ones.
local channel = redis.call('HMGET', KEYS[1], 'd', 's', 'v')
if not channel[1] then
  for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do redis.call('DEL', ARGV[1] .. digest) end
  redis.call('DEL', KEYS[2])
  return {'nothing'}
end
local now = now_ms()
while true do
  local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if not first[1] then return {'nothing'} end
  local due = tonumber(first[2])
  if due > now then return {'wait', due - now} end
  local queue = ARGV[1] .. first[1]
  local id = redis.call('LINDEX', queue, 0)
  if not id then
    redis.call('ZREM', KEYS[2], first[1])
  else
    local key = ARGV[2] .. id
    local reply = redis.call('HMGET', key, 'b', 'k', 'o', 'm', 'q', 't', 'p', 'a', 'f', 'r', 'y')
    if reply[1] then
      redis.call('ZADD', KEYS[2], now + ARGV[3], first[1])
      redis.call('HSET', key, 'w', ARGV[4])
      return {'take', now, id, reply, channel}
    end
    -- It expired while it waited.
    redis.call('LPOP', queue)
  end
end
