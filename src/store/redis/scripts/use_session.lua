-- Records that a session is used. KEYS: 1 session. ARGV: 1 age at which a use is recorded again. Gives API key
-- digest, creation, last recorded use and what is left of its life; nothing if there is no session.
local session = redis.call('HMGET', KEYS[1], 'k', 'c', 'n')
if not session[1] then return {} end
local now = now_ms()
local used = touch(KEYS[1], session[3], now, ARGV[1]) == 1 and now or session[3]
return {session[1], session[2], used, math.max(redis.call('PTTL', KEYS[1]), 0)}
