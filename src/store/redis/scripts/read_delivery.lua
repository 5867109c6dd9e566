-- How far a reply is. KEYS: 1 reply, 2 channel, 3 queues. ARGV: 1 response id, 2 stem of queues. The key of its queue
-- is made here: it shares the slot of the declared ones. Gives what is known, when it is tried next if it is the
-- first of its conversation and nobody sends it, whether its content is there, and the channel's type; or nothing.
local reply = redis.call('HMGET', KEYS[1], 'c', 's', 'a', 'x', 'f', 'k', 'w')
if not reply[1] then return {} end
local next_try = false
if reply[6] then
  local digest = redis.sha1hex(reply[6])
  local due = redis.call('ZSCORE', KEYS[3], digest)
  local is_held = due and reply[7] and tonumber(due) > now_ms()
  if due and not is_held and redis.call('LINDEX', ARGV[2] .. digest, 0) == ARGV[1] then next_try = due end
end
return {reply[1], reply[2], reply[3], reply[4], reply[5], next_try, redis.call('HEXISTS', KEYS[1], 'b'),
  redis.call('HGET', KEYS[2], 't')}
