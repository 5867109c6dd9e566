-- Frees the places of a user's sockets and has those who hold them close. KEYS: 1 sockets, 2 wake.
local count = redis.call('ZCOUNT', KEYS[1], now_ms(), '+inf')
redis.call('DEL', KEYS[1])
redis.call('SPUBLISH', KEYS[2], 'c')
return count
