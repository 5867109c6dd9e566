-- KEYS: 1 session, 2 channels, 3 channel. ARGV: 1 id, 2 most channels, 3 revision it must be at or '',
-- 4 life, then fields and values.
local life = redis.call('PTTL', KEYS[1])
if life < 0 then return 'session' end
local revision = redis.call('HGET', KEYS[3], 'v')
if ARGV[3] ~= '' then
  if revision ~= ARGV[3] then return 'changed' end
elseif not revision and redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[2]) then
  return 'many'
end
redis.call('HSET', KEYS[3], 'v', tonumber(revision or 0) + 1, unpack(ARGV, 5))
redis.call('SADD', KEYS[2], ARGV[1])
-- A channel may outlive its session by a little, never the other way round.
redis.call('PEXPIRE', KEYS[3], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 'stored'
