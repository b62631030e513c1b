-- Shared by all operations: the ids, the headers, the result line that `bench` reads.
local common = {}

function common.ids()
  local ids = {}
  for line in io.lines(os.getenv("BENCH_IDS")) do ids[#ids + 1] = line end
  return ids
end

-- The tokens of the callers; the variable separates them by commas.
local tokens = {}
for token in (os.getenv("BENCH_TOKENS") or ""):gmatch("[^,]+") do tokens[#tokens + 1] = "Bearer " .. token end

-- Headers with the token of the first caller.
function common.headers(content_type)
  local headers = {}
  headers["Authorization"] = tokens[1]
  if content_type then headers["Content-Type"] = content_type end
  return headers
end

local turn = 0
-- Sets the token of the next caller: the quota of a member is counted in a single row, so a single caller's requests
-- would wait for each other.
function common.next(headers)
  if #tokens > 0 then
    turn = turn % #tokens + 1
    headers["Authorization"] = tokens[turn]
  end
  return headers
end

-- Prints the line: RESULT requests duration_us p50_us p99_us errors
function common.done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end

return common
