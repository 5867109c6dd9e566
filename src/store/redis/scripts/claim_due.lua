-- KEYS: 1 due. ARGV: 1 lease, 2 count. Gives the time up to which the claims hold, then the members.
local now = now_ms()
local claim = now + ARGV[1]
local answer = {claim}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  redis.call('ZADD', KEYS[1], claim + CLAIMED, member)
  answer[#answer + 1] = member
end
return answer
