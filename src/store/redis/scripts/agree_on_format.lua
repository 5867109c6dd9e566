-- Names the format of the records, or raises it by one while no replica of an older one is alive.
-- KEYS: 1 format, 2 replicas, 3 what they say of themselves. ARGV: 1 the caller's format, 2 that of records without
-- one and of replicas that name none, 3 life of a replica. Gives the format, and how many replicas keep the caller
-- from raising it.
local stored, known = redis.call('GET', KEYS[1]), tonumber(ARGV[1])
local found = tonumber(stored or ARGV[2])
if not found then return {stored, 0} end
if found > known or found + 1 < known or (stored and found == known) then return {found, 0} end
if found < known then
  local older = 0
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], '(' .. (now_ms() - ARGV[3]), '+inf', 'BYSCORE')) do
    local is_json, says = pcall(cjson.decode, redis.call('HGET', KEYS[3], id) or '')
    local format = is_json and type(says) == 'table' and tonumber(says.format) or tonumber(ARGV[2])
    if format < known then older = older + 1 end
  end
  if older > 0 then return {found, older} end
end
redis.call('SET', KEYS[1], known)
return {known, 0}
