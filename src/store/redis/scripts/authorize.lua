local refusal, used, reset, touch = open_gate(now_ms())
if refusal then return refusal end
return {'ok', used, reset, touch}
