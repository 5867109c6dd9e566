-- KEYS: 1 channels, 2 channel, 3 queues, and those that are simply deleted. ARGV: 1 id, 2 stem of queues, 3
-- stem of replies, 4 life of what became of them. Replies that wait fail; the keys of queues and replies are
-- made here, and share the slot of the declared ones. Gives 1 if the channel was there, its type, and the replies.
redis.call('SREM', KEYS[1], ARGV[1])
local answer = {0, redis.call('HGET', KEYS[2], 't')}
answer[1] = redis.call('DEL', KEYS[2])
for _, digest in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  for _, id in ipairs(redis.call('LRANGE', ARGV[2] .. digest, 0, -1)) do
    local reply = ARGV[3] .. id
    answer[#answer + 1] = id
    if redis.call('HDEL', reply, 'b', 'k', 'o', 'm', 'q', 't', 'p', 'w', 'r', 'y') > 0 then
      redis.call('HSET', reply, 's', 'failed', 'x', 'the channel was deleted')
      redis.call('PEXPIRE', reply, ARGV[4])
    end
  end
  redis.call('DEL', ARGV[2] .. digest)
end
redis.call('DEL', unpack(KEYS, 3))
return answer
