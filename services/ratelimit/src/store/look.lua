-- How buckets stand; changes nothing.
--
-- KEYS[1] the app's epoch, KEYS[2..] the buckets. ARGV: not_after, then per bucket: cell_ms, cells.
-- Answers {epoch or 0, lost_at, time, then per bucket: own, others, closed_until (0 while open), closed_code, gate (-1
-- where nothing counts), observed (-1 likewise), when its lost window ends (0 where none was lost), frozen_until (0 while
-- it is not), what reservations hold}.
local epoch, lost_at = read_epoch(KEYS[1])
if not epoch then epoch, lost_at = 0, 0 end

local time = redis_ms()
local now = bounded_ms(tonumber(ARGV[1]), time)
local answer = { epoch, lost_at, time }
for i = 1, #KEYS - 1 do
  local b = read_bucket(KEYS[i + 1], now, tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1]))
  local s = b.state or state_of()
  local closed = s.closed_until > b.at and s.closed_until or 0
  local gate = s.gate_until > b.at and s.gate or -1
  local observed = s.observed_until > b.at and s.observed or -1
  local frozen = s.frozen_until > b.at and s.frozen_until or 0
  local lost_until = lost_at > 0 and lost_at + b.n * b.cell_ms or 0
  if lost_until <= b.at then lost_until = 0 end
  for _, value in ipairs({ b.own, b.others, closed, s.closed_code, gate, observed, lost_until, frozen, b.held }) do
    answer[#answer + 1] = value
  end
end
return answer
