-- Lists a channel of a listed user, or takes it off. KEYS: 1 seen, 2 names, 3 what is listed of the user. ARGV: 1
-- user, 2 channel, 3 names in lines, or '' to take it off, 4 life. Gives 0 for a user who is not listed.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
list_names(KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
return 1
