-- What a session is and owns. KEYS: 1 session, 2 channels, 3 sockets. ARGV: 1 stem of channels. The channels'
-- keys are made here: they share the slot of the declared ones.
local session = redis.call('HMGET', KEYS[1], 'c', 'n', 'p')
if not session[1] then return {} end
local channels = {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  channels[#channels + 1] = redis.call('HGET', ARGV[1] .. id, 'd') or nil
end
local places = redis.call('ZRANGE', KEYS[3], now_ms(), '+inf', 'BYSCORE')
return {session[1], session[2], session[3], channels, places}
