-- How buckets stand; changes nothing.
--
-- KEYS[1] the app's epoch, KEYS[2..] the buckets. ARGV: not_after, then per bucket: cell_ms, cells.
-- Answers {epoch or 0, lost_at, time, then per bucket: own, others, closed_until (0 while open), closed_code, gate (-1
-- where nothing counts), observed (-1 likewise), when its lost window ends (0 where none was lost)}.
local epoch, lost_at = read_epoch(KEYS[1])
if not epoch then epoch, lost_at = 0, 0 end

local now = bounded_ms(ARGV[1])
local answer = { epoch, lost_at, redis_ms() }
for i = 1, #KEYS - 1 do
  local b = read_bucket(KEYS[i + 1], now, tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1]))
  local closed = b.closed_until > b.at and b.closed_until or 0
  local gate = b.gate_until > b.at and b.gate or -1
  local observed = b.observed_until > b.at and b.observed or -1
  local lost_until = lost_at > 0 and lost_at + b.n * b.cell_ms or 0
  if lost_until <= b.at then lost_until = 0 end
  for _, value in ipairs({ b.own, b.others, closed, b.closed_code, gate, observed, lost_until }) do
    answer[#answer + 1] = value
  end
end
return answer
