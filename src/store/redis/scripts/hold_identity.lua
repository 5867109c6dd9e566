-- KEYS: 1 identity. ARGV: 1 holder, 2 life, 3 '1' to replace an earlier holder.
local before = redis.call('GET', KEYS[1])
if before and before ~= ARGV[1] and ARGV[3] ~= '1' then return before end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return before
