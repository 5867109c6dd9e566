-- Removes what became of a channel's responses, with what of them was to be delivered. KEYS: 1 responses. ARGV:
-- 1 stem of replies. A response's record begins with its id. The replies' keys are made here, in the same slot.
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  local id = string.match(entry[2][2], '^"id":"([%x-]+)"')
  if id then redis.call('DEL', ARGV[1] .. id) end
end
return 1
