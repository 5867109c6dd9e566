-- Takes replies off whatever list they are in. KEYS: 1–4 the lists. ARGV: 1–3 the lists, then response ids.
for n = 4, #ARGV do unlist(ARGV[n]) end
return 1
