-- Users of whom a name starts so. KEYS: 1 names, 2 seen. ARGV: 1 what it starts with, 2 entry after which to
-- start or '', 3 count. Gives how many are listed, 0, and rows of user, entry and last use.
local from = '[' .. ARGV[1]
if ARGV[2] ~= '' then from = '(' .. ARGV[2] end
local entries = redis.call('ZRANGE', KEYS[1], from, '(' .. ARGV[1] .. '\255', 'BYLEX', 'LIMIT', 0, ARGV[3])
local answer = {redis.call('ZCARD', KEYS[2]), 0}
for _, entry in ipairs(entries) do
  local user = string.sub(entry, -36)
  answer[#answer + 1] = {user, entry, redis.call('ZSCORE', KEYS[2], user) or ''}
end
return answer
