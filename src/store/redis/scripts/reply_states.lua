-- How far replies are. KEYS: 1 session. ARGV: 1 stem of replies, 2 stem of lists of queues, 3 stem of queues, then
-- the replies. All other keys are made here: they share the slot of the session. Gives for each reply nothing, or
-- channel, status, tries, error, when it was accepted, whether its content is there, and when it is due if it is
-- the first of its queue.
local answer = {}
local has_session = redis.call('EXISTS', KEYS[1]) == 1
for n = 4, #ARGV do
  local key = ARGV[1] .. ARGV[n]
  local reply = has_session and redis.call('HMGET', key, 'c', 's', 'a', 'x', 'f', 'k') or {}
  if reply[1] then
    local due
    local digest = reply[6] and redis.sha1hex(reply[6])
    if digest and redis.call('LINDEX', ARGV[3] .. reply[1] .. ':' .. digest, 0) == ARGV[n] then
      due = redis.call('ZSCORE', ARGV[2] .. reply[1], digest)
    end
    local has_content = redis.call('HEXISTS', key, 'b')
    reply = {reply[1], reply[2], reply[3], reply[4] or '', reply[5] or '', has_content, due or ''}
  else
    reply = {}
  end
  answer[n - 3] = reply
end
return answer
