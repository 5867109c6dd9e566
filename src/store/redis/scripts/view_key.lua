-- What is known of a key, and the first parts of its value, each with its name and its whole length.
-- KEYS: 1 key. ARGV: 1 most parts or 0, 2 bytes of each part that are given, 3 bytes of a key of which fewer parts
-- are read, 4 how many then. Gives nothing for a key that is gone.
local form = redis.call('TYPE', KEYS[1]).ok
if form == 'none' then return {} end
local bytes = redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 5) or 0
local answer = {form, redis.call('PTTL', KEYS[1]), bytes}
local most, parts, len = tonumber(ARGV[1]), {}, 0
if most == 0 then return answer end
if bytes > tonumber(ARGV[3]) then most = tonumber(ARGV[4]) end
local function add(name, value, size)
  if #parts >= 3 * most then return end
  parts[#parts + 1] = name
  parts[#parts + 1] = string.sub(value, 1, ARGV[2])
  parts[#parts + 1] = size or #value
end
if form == 'string' then
  len = 1
  add('', redis.call('GETRANGE', KEYS[1], 0, ARGV[2] - 1), redis.call('STRLEN', KEYS[1]))
elseif form == 'hash' then
  len = redis.call('HLEN', KEYS[1])
  local pairs_of = redis.call('HSCAN', KEYS[1], 0, 'COUNT', most)[2]
  for n = 1, #pairs_of, 2 do add(pairs_of[n], pairs_of[n + 1]) end
elseif form == 'list' then
  len = redis.call('LLEN', KEYS[1])
  for n, value in ipairs(redis.call('LRANGE', KEYS[1], 0, most - 1)) do add(tostring(n), value) end
elseif form == 'set' then
  len = redis.call('SCARD', KEYS[1])
  for _, value in ipairs(redis.call('SSCAN', KEYS[1], 0, 'COUNT', most)[2]) do add('', value) end
elseif form == 'zset' then
  len = redis.call('ZCARD', KEYS[1])
  local members = redis.call('ZRANGE', KEYS[1], 0, most - 1, 'WITHSCORES')
  for n = 1, #members, 2 do add(members[n + 1], members[n]) end
elseif form == 'stream' then
  len = redis.call('XLEN', KEYS[1])
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', most)) do
    local fields, lines = entry[2], {}
    for n = 1, #fields, 2 do lines[#lines + 1] = fields[n] .. ': ' .. fields[n + 1] end
    add(entry[1], table.concat(lines, '\n'))
  end
end
answer[4] = len
answer[5] = parts
return answer
