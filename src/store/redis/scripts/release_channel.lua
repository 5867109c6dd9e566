-- KEYS: 1 pointer. ARGV: 1 user.
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] or owner == ARGV[1] .. ' claim' then redis.call('DEL', KEYS[1]) end
return 1
