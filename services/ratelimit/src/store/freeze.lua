-- Freezes buckets, or thaws them: only safety passes before the moment named.
--
-- KEYS: the buckets, all of one app. ARGV: not_after, then per bucket: frozen_until (0 thaws), cell_ms, cells.
-- Answers {time}.
local time = redis_ms()
local now = bounded_ms(tonumber(ARGV[1]), time)
for i = 1, #KEYS do
  local a = 2 + 3 * (i - 1)
  local b = read_bucket(KEYS[i], now, tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]))
  b.state = b.state or state_of()
  b.state.frozen_until = tonumber(ARGV[a])
  write_bucket(b)
end
return { time }
