-- Where a reply is listed. KEYS: 1–4 the lists. ARGV: 1–3 the lists, 4 response id. Gives the time, the number of the
-- list, by what it is sorted there, and its place; or nothing.
for list = 1, 3 do
  local sort = redis.call('ZSCORE', KEYS[list], ARGV[4])
  if sort then return {now_ms(), list, sort, redis.call('HGET', KEYS[4], ARGV[4])} end
end
return {}
