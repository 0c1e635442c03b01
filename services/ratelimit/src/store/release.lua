-- Gives one permit back: subtracts from the very cells that it was charged to, once.
--
-- KEYS[1] the app's epoch, KEYS[2] the marker of this permit, KEYS[3..] the buckets.
-- ARGV: not_after, the permit's epoch, how long the marker lives in ms, then per bucket: cell, cost, cell_ms, cells.
-- Answers {1} where it was given back; {0} where it was before, or its epoch is over.
local epoch = read_epoch(KEYS[1])
if epoch ~= tonumber(ARGV[2]) then return { 0 } end
if not redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[3]) then return { 0 } end

local now = bounded_ms(ARGV[1])
local released = 0
for i = 1, #KEYS - 2 do
  local a = 4 + 4 * (i - 1)
  local cell, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1])
  local b = read_bucket(KEYS[i + 2], now, tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]))
  local place = b.n - (b.head - cell)
  if place >= 1 and place <= b.n then
    local held = struct.unpack('<I4', b.own_cells, 4 * (place - 1) + 1)
    local back = math.min(cost, held)
    b.own_cells = string.sub(b.own_cells, 1, 4 * (place - 1)) .. struct.pack('<I4', held - back)
      .. string.sub(b.own_cells, 4 * place + 1)
    b.own = b.own - back
    write_bucket(b)
    released = 1
  end
end
return { released }
