-- A page of the users by last use or creation. KEYS: 1 the list, 2 seen. ARGV: 1 '1' for the highest first, 2
-- score after which it starts or '', 3 user of that score after whom it starts, 4 count.
-- Gives how many are listed, how many come before, and rows of user, score and last use.
local is_descending = ARGV[1] == '1'
local start = 0
if ARGV[2] ~= '' then
  -- Users of the cursor's score stand together; which of them come after the cursor is found by halving.
  local low
  if is_descending then
    low = redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[2], '+inf')
  else
    low = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[2])
  end
  local high = low + redis.call('ZCOUNT', KEYS[1], ARGV[2], ARGV[2])
  while low < high do
    local middle = math.floor((low + high) / 2)
    local user = redis.call(is_descending and 'ZREVRANGE' or 'ZRANGE', KEYS[1], middle, middle)[1]
    if (is_descending and user < ARGV[3]) or (not is_descending and user > ARGV[3]) then
      high = middle
    else
      low = middle + 1
    end
  end
  start = low
end
local last = start + ARGV[4] - 1
local rows = redis.call(is_descending and 'ZREVRANGE' or 'ZRANGE', KEYS[1], start, last, 'WITHSCORES')
local answer = {redis.call('ZCARD', KEYS[2]), start}
for n = 1, #rows, 2 do
  answer[#answer + 1] = {rows[n], rows[n + 1], redis.call('ZSCORE', KEYS[2], rows[n]) or ''}
end
return answer
