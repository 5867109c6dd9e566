-- Lists a session. KEYS: 1 seen, 2 created, 3 names, 4 what is listed of the user. ARGV: 1 user, 2 last use, 3
-- creation, 4 life of the lists, 5 life of a session, 6 stem of what is listed of a user, 7 '1' if these are all
-- its channels, then for each channel (one without an id for the user) its id and its names in lines.
-- The keys of other users are made here: they share the slot of the declared ones.
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
local is_given = {}
for n = 8, #ARGV, 2 do
  is_given[ARGV[n]] = true
  list_names(KEYS[3], KEYS[4], ARGV[1], ARGV[n], ARGV[n + 1])
end
if ARGV[7] == '1' then
  for _, channel in ipairs(redis.call('HKEYS', KEYS[4])) do
    if not is_given[channel] then list_names(KEYS[3], KEYS[4], ARGV[1], channel, '') end
  end
end
-- Sessions that went unused for too long leave the lists, a few at each writing.
for _, user in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now_ms() - ARGV[5], 'BYSCORE', 'LIMIT', 0, 4)) do
  unlist(KEYS[1], KEYS[2], KEYS[3], ARGV[6] .. user, user)
end
-- Names that something broken off left without a listed user are found by chance, sooner or later.
for _, entry in ipairs(redis.call('ZRANDMEMBER', KEYS[3], 2)) do
  if not redis.call('ZSCORE', KEYS[1], string.sub(entry, -36)) then redis.call('ZREM', KEYS[3], entry) end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
return 1
