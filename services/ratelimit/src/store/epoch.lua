-- Sets an app's epoch, unless another replica was faster, or the server is another one by now: one that restarted since
-- its buckets were rebuilt has lost them again.
--
-- KEYS[1] the app's epoch. ARGV: the value that was seen, the new epoch, when the counters before it were found lost (0
-- where they were rebuilt whole), and the run id of the server in which they were. Answers {the epoch that now holds, or
-- 0}.
local seen = redis.call('GET', KEYS[1]) or ''
if seen == ARGV[1] and RUN_ID == ARGV[4] then
  redis.call('SET', KEYS[1], epoch_text(tonumber(ARGV[2]), tonumber(ARGV[3])))
end
return { (read_epoch(KEYS[1])) or 0 }
