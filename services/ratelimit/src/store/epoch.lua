-- Opens an app's next epoch, unless another replica was faster.
--
-- KEYS[1] the app's epoch. ARGV: the value that was seen, 1 where what was counted before it counts as lost, the newest
-- epoch that the replica knows of, and not_after. Answers {the epoch that now holds}.
local seen = redis.call('GET', KEYS[1]) or ''
if seen == ARGV[1] then
  local now = bounded_ms(ARGV[4])
  local old = tonumber(string.match(seen, '^(%d+):')) or 0
  local epoch = math.max(now, old + 1, tonumber(ARGV[3]) + 1)
  local lost_at = ARGV[2] == '1' and now or 0
  redis.call('SET', KEYS[1], string.format('%.0f:%s:%.0f', epoch, RUN_ID, lost_at))
end
return { (read_epoch(KEYS[1])) or 0 }
