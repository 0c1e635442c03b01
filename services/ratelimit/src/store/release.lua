-- Gives one permit back: subtracts from the very cells that it was charged to, once.
--
-- KEYS[1] the app's epoch, KEYS[2] the marker of this permit, KEYS[3..] the buckets.
-- ARGV: not_after, the permit's epoch, how long the marker lives in ms, then per bucket: cell, cost, cell_ms, cells.
-- Answers {1} where it was given back; {0} where it was before, or its epoch is over.
local epoch = read_epoch(KEYS[1])
if epoch ~= tonumber(ARGV[2]) then return { 0 } end
if not redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[3]) then return { 0 } end

local now = bounded_ms(tonumber(ARGV[1]), redis_ms())
local released = 0
for i = 1, #KEYS - 2 do
  local a = 4 + 4 * (i - 1)
  local cell, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1])
  local b = read_bucket(KEYS[i + 2], now, tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]))
  local age = b.head - cell
  local back = 0
  if age == 0 then
    back = math.min(cost, b.own_cell)
    b.own_cell = b.own_cell - back
  elseif age > 0 and age < b.n then
    with_cells(b, b.n)
    local cells = cells_of(b.own_older)
    back = math.min(cost, cells[b.n - age])
    cells[b.n - age] = cells[b.n - age] - back
    b.own_older = packed_cells(cells)
  end
  if age >= 0 and age < b.n then
    b.own = b.own - back
    write_counts(b)
    released = 1
  end
end
return { released }
