-- Corrects buckets by what Meta said. May add and close, never subtract.
--
-- KEYS: the buckets, all of one app.
-- ARGV: not_after, how long a gate counts in ms,
--       then per bucket: used, observed, gate, close_ms, code, let_through, extra, cell_ms, cells.
--   used         what the reported percent of the ceiling comes to; -1 where nothing was said
--   observed     that percent; -1 likewise
--   gate         percent of CPU or wall time; -1 likewise
--   close_ms     0 leaves open; -1 closes for 1, 2, 4 .. 60 minutes; else Meta's own time to regain access
--   code         Meta's error code behind the closing, 0 where a header said it
--   let_through  when the permit of a good answer was issued, ms; -1 where there was no good answer
--   extra        what the call cost beyond its permit
-- Answers {time}.
local MINUTE_MS, CLOSE_MINUTES_MAX = 60000, 60

local time, gate_ms = redis_ms(), tonumber(ARGV[2])
local now = bounded_ms(tonumber(ARGV[1]), time)

-- A refusal that arrives while the bucket is closed says nothing new: it was sent before, and extends nothing unless
-- Meta names a later time itself.
local function close(s, at, close_ms, code)
  local fresh = at >= s.closed_until
  if fresh then s.closures = math.min(s.closures + 1, 16) end
  if close_ms < 0 then
    if not fresh then return end
    close_ms = math.min(2 ^ (s.closures - 1), CLOSE_MINUTES_MAX) * MINUTE_MS
  end
  s.closed_until = math.max(s.closed_until, at + close_ms)
  s.closed_code = code
end

for i = 1, #KEYS do
  local a = 3 + 9 * (i - 1)
  local used, observed, gate = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local close_ms, code = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  local let_through, extra = tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
  local b = read_bucket(KEYS[i], now, tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8]))
  b.state = b.state or state_of()
  local s = b.state

  if extra > 0 then charge_own(b, extra) end
  -- The difference ages out like any charge, and the same report again changes nothing.
  if used > b.own + b.others then charge_others(b, used - b.own - b.others) end
  if observed >= 0 then s.observed, s.observed_until = observed, b.at + b.n * b.cell_ms end
  if gate >= 0 then s.gate, s.gate_until = gate, b.at + gate_ms end
  -- Only a call permitted after the closing ended shows that Meta lets calls through again.
  if let_through >= 0 and s.closures > 0 and let_through >= s.closed_until then
    s.closures, s.closed_until, s.closed_code, s.probe_until = 0, 0, 0, 0
  end
  if close_ms ~= 0 then close(s, b.at, close_ms, code) end
  write_bucket(b)
end
return { time }
