-- KEYS: 1 session, 2 sockets, 3 last, 4 messages, 5 wake. ARGV: 1 API key digest, 2 place or '', 3 socket
-- id, 4 lease, 5 places, 6 since, 7 span or '', 8 count, 9 cap, 10 age at which a use is recorded again, 11
-- replica.
local now = now_ms()
local session = redis.call('HMGET', KEYS[1], 'k', 'n')
if session[1] ~= ARGV[1] then return {'session'} end
local place = ARGV[2]
if place == '' then
  local t = redis.call('TIME')
  place = string.format('%016.0f', t[1] * 1000000 + t[2]) .. '-' .. ARGV[3] .. '-' .. ARGV[11]
end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), place)
redis.call('PEXPIRE', KEYS[2], 60000)
if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[5]) then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. now)
  local places = redis.call('ZRANGE', KEYS[2], 0, -1)
  table.sort(places)
  for n = 1, #places - tonumber(ARGV[5]) do
    redis.call('ZREM', KEYS[2], places[n])
    if places[n] == place then return {'evicted'} end
    redis.call('SPUBLISH', KEYS[5], 'e' .. places[n])
  end
end
local touched = touch(KEYS[1], session[2], now, ARGV[10])
local last, rows = read(KEYS[4], KEYS[3], now, ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]))
return {'ok', place, touched, last, rows}
