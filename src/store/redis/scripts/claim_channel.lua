-- Claims a channel's id for a user, for a short time: settling it makes it last.
-- KEYS: 1 pointer. ARGV: 1 user, 2 life of the claim, 3 owner who turned out not to have the channel, or ''.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[3] then
  if owner == ARGV[1] then return 'own' end
  if owner == ARGV[1] .. ' claim' then return 'own' end
  return owner
end
redis.call('SET', KEYS[1], ARGV[1] .. ' claim', 'PX', ARGV[2])
return 'new'
