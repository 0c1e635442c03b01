-- Rebuilds buckets of which the counters may be lost: their own cells become what the journal says, all else stays.
--
-- KEYS: the buckets, all of one app. ARGV: not_after, then per bucket: cell_ms, cells, the number of pairs, and pairs of
-- the last moment at which points can have been charged, and the points. Answers {time}.
local time = redis_ms()
local now = bounded_ms(tonumber(ARGV[1]), time)
local a = 2
for i = 1, #KEYS do
  local b = read_bucket(KEYS[i], now, tonumber(ARGV[a]), tonumber(ARGV[a + 1]))
  local pairs_of = tonumber(ARGV[a + 2])
  with_cells(b, b.n)
  local cells, sum = {}, 0
  for place = 1, b.n do cells[place] = 0 end
  for pair = 1, pairs_of do
    local at, points = tonumber(ARGV[a + 1 + 2 * pair]), tonumber(ARGV[a + 2 + 2 * pair])
    -- What may be charged until a moment to come counts as charged now.
    local cell = math.min(math.floor(at / b.cell_ms), b.head)
    local place = b.n - (b.head - cell)
    if place >= 1 then
      local grown = math.min(cells[place] + points, CELL_MAX)
      sum = sum + grown - cells[place]
      cells[place] = grown
    end
  end
  b.own, b.own_cell = sum, table.remove(cells)
  b.own_older = packed_cells(cells)
  write_bucket(b)
  a = a + 3 + 2 * pairs_of
end
return { time }
