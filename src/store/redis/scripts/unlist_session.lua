-- Takes a user off all lists. KEYS: 1 seen, 2 created, 3 names, 4 what is listed of the user. ARGV: 1 user, 2
-- last use as it was listed when the session turned out to be gone, '' if it was not listed, '*' in any case: a
-- user who came back since then stays.
if ARGV[2] ~= '*' and (redis.call('ZSCORE', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
unlist(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1])
for n = 3, #ARGV do redis.call('ZREM', KEYS[3], ARGV[n]) end
return 1
