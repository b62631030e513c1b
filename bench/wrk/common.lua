-- Shared by all operations: the ids, the headers, the result line that `bench` reads.
local common = {}

function common.ids()
  local ids = {}
  for line in io.lines(os.getenv("BENCH_IDS")) do ids[#ids + 1] = line end
  return ids
end

function common.headers(content_type)
  local headers = {}
  local token = os.getenv("BENCH_TOKEN")
  if token and token ~= "" then headers["Authorization"] = "Bearer " .. token end
  if content_type then headers["Content-Type"] = content_type end
  return headers
end

-- RESULT requests duration_us p50_us p99_us errors
function common.done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end

return common
