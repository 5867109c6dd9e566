-- KEYS: 1 conversations. ARGV: 1 'exact', 'chat' or 'any', 2 what is wanted, 3 life of a conversation.
return find_conversation(KEYS[1], now_ms(), ARGV[3], ARGV[1], ARGV[2])
