-- KEYS: 1 replicas, 2 what they say of themselves, 3 recent. ARGV: 1 life of a replica, 2 stem of minutes, 3 how
-- many, 4 counters, 5 most recent. The keys of minutes are made here: they share the slot of the declared ones.
local now = now_ms()
local replicas = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. (now - ARGV[1]), '+inf', 'BYSCORE')) do
  replicas[#replicas + 1] = {id, redis.call('ZSCORE', KEYS[1], id), redis.call('HGET', KEYS[2], id)}
end
local counters = {}
for n = 1, ARGV[4] do counters[n] = n - 1 end
local last, minutes = math.floor(now / 60000), {}
for n = 1, ARGV[3] do minutes[n] = redis.call('HMGET', ARGV[2] .. (last - ARGV[3] + n), unpack(counters)) end
return {now, replicas, minutes, redis.call('ZRANGE', KEYS[3], 0, ARGV[5] - 1, 'REV')}
